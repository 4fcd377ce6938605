"""BERT's encoder on the weights of a KerasNLP backbone, faster than its layers.

The same function as KerasNLP's `BertBackbone`, of fewer and larger operations:

- Tokens are the rows of one matrix, so that products have rank 2, and query,
  key and value are one product.
- Of the last layer only what [CLS] needs is computed: nothing else reaches a
  classifier.
- A GELU has a gradient of its own, in half the passes over memory.

docs/performance.md has the measurements behind it.
"""

from collections.abc import Callable

import keras
import keras_nlp
import tensorflow as tf

_LAYER_NORM_EPSILON = 1e-12
_MASKED = -1e9
# Dropouts of a layer, which are told apart by numbers: see `Dropout`.
_SITES_A_LAYER = 3

Drop = Callable[[tf.Tensor, int], tf.Tensor]


def pooled_output(
    backbone: keras_nlp.models.BertBackbone,
    features: dict[str, tf.Tensor],
    *,
    drop: Drop,
) -> tf.Tensor:
    """Returns the backbone's pooled output <float>[batch, width].

    Args:
        backbone: whose weights, sizes and precision are used.
        features: token_ids, segment_ids, padding_mask: <int32>[batch, length].
        drop: a `Dropout`, or `no_dropout`.
    """
    hidden = drop(_embed(backbone, features), 0)
    masked = (1.0 - tf.cast(features["padding_mask"], tf.float32)) * _MASKED
    layers = backbone.transformer_layers
    for number, layer in enumerate(layers):
        site = 1 + number * _SITES_A_LAYER
        residual, context = _attend(
            layer._self_attention_layer,
            hidden,
            masked,
            first_only=layer is layers[-1],
            drop=drop,
            site=site,
        )
        hidden = _end_layer(layer, residual, context, drop=drop, site=site + 1)
    return tf.tanh(_dense(backbone.pooled_dense, hidden))


def _embed(backbone: keras_nlp.models.BertBackbone, features) -> tf.Tensor:
    """Returns <float>[batch x length, width]."""
    ids, segments = features["token_ids"], features["segment_ids"]
    tokens, positions, segment_table = _cast(
        backbone,
        tf.gather(backbone.token_embedding.embeddings.value, ids),
        backbone.position_embedding.position_embeddings[: tf.shape(ids)[1]],
        backbone.segment_embedding.embeddings,
    )
    # A product's gradient is faster than that of a gather, which scatters.
    chosen = tf.one_hot(
        tf.reshape(segments, [-1]), backbone.num_segments, dtype=tokens.dtype
    )
    added = tf.reshape(tokens + positions, [-1, backbone.hidden_dim])
    added += tf.matmul(chosen, segment_table)
    return _normalize(backbone.embeddings_layer_norm, added)


def _attend(
    attention: keras.layers.MultiHeadAttention,
    hidden: tf.Tensor,
    masked: tf.Tensor,
    *,
    first_only: bool,
    drop: Drop,
    site: int,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns those tokens that ask, and what each attends to, both <float>.

    Args:
        attention: the weights.
        hidden: <float>[batch x length, width], the tokens.
        masked: <float32>[batch, length], added to the scores of a token.
        first_only: whether only the first token of each text asks: [batch,
            width] is returned then, [batch x length, width] otherwise.
        drop: for the weights of the attention.
        site: of that dropout.
    """
    batch, length = tf.unstack(tf.shape(masked))
    width = hidden.shape[1]
    num_heads = attention.num_heads
    head_width = width // num_heads
    # Keras has no public names for these layers.
    dense_layers = (
        attention._query_dense, attention._key_dense, attention._value_dense,
    )  # fmt: skip
    kernels = [
        tf.reshape(_cast(dense, dense.kernel)[0], [width, width])
        for dense in dense_layers
    ]
    biases = [
        tf.reshape(_cast(dense, dense.bias)[0], [width])
        for dense in dense_layers
    ]

    def project(tokens, part):
        """Returns <float>[batch, heads, tokens, head width] for each part."""
        projected = tf.matmul(tokens, tf.concat(kernels[part], 1))
        projected += tf.concat(biases[part], 0)
        shape = [batch, -1, len(kernels[part]), num_heads, head_width]
        heads = tf.transpose(tf.reshape(projected, shape), [2, 0, 3, 1, 4])
        return tf.unstack(heads)

    if first_only:
        asking = tf.reshape(hidden, [batch, length, width])[:, 0]
        (query,) = project(asking, slice(0, 1))
        key, value = project(hidden, slice(1, 3))
    else:
        asking = hidden
        query, key, value = project(hidden, slice(0, 3))
    scores = tf.matmul(query * head_width**-0.5, key, transpose_b=True)
    scores = tf.cast(scores, tf.float32) + masked[:, tf.newaxis, tf.newaxis]
    weights = tf.cast(tf.nn.softmax(scores), value.dtype)
    context = tf.matmul(drop(weights, site), value)
    context = tf.reshape(tf.transpose(context, [0, 2, 1, 3]), [-1, width])
    kernel, bias = _cast(
        attention, attention._output_dense.kernel, attention._output_dense.bias
    )
    return asking, tf.matmul(context, tf.reshape(kernel, [width, width])) + bias


def _end_layer(layer, residual, attended, *, drop: Drop, site: int):
    """Adds what was attended to, and the feed-forward block's output."""
    hidden = _normalize(
        layer._self_attention_layer_norm, residual + drop(attended, site)
    )
    inner = _gelu(_dense(layer._feedforward_intermediate_dense, hidden))
    output = _dense(layer._feedforward_output_dense, inner)
    return _normalize(
        layer._feedforward_layer_norm, hidden + drop(output, site + 1)
    )


def _dense(dense: keras.layers.Dense, x: tf.Tensor) -> tf.Tensor:
    kernel, bias = _cast(dense, dense.kernel, dense.bias)
    return tf.matmul(x, kernel) + bias


@tf.custom_gradient
def _gelu(x: tf.Tensor) -> tuple[tf.Tensor, Callable]:
    """Returns GELU by tanh, as in google-research/bert, and its gradient."""
    slope, cubic = 0.7978845608028654, 0.044715
    squares = x * x
    tanh = tf.tanh(x * (slope + slope * cubic * squares))

    def gradient(upstream):
        inner = 0.5 * slope + 1.5 * slope * cubic * squares
        return upstream * ((0.5 + 0.5 * tanh) + x * (1.0 - tanh * tanh) * inner)

    return x * (0.5 + 0.5 * tanh), gradient


def _normalize(norm: keras.layers.LayerNormalization, x: tf.Tensor):
    """LayerNorm of <float>[rows, width], in float32 as Keras does."""
    wide = tf.cast(x, tf.float32)
    centered = wide - tf.reduce_mean(wide, axis=-1, keepdims=True)
    variance = tf.reduce_mean(centered * centered, axis=-1, keepdims=True)
    normal = centered * tf.math.rsqrt(variance + _LAYER_NORM_EPSILON)
    gamma, beta = (tf.cast(v, tf.float32) for v in (norm.gamma, norm.beta))
    return tf.cast(normal * gamma + beta, x.dtype)


def _cast(layer: keras.Layer, *variables) -> list[tf.Tensor]:
    """Returns weights in the precision in which the layer computes."""
    return [
        tf.cast(tf.convert_to_tensor(variable), layer.compute_dtype)
        for variable in variables
    ]
