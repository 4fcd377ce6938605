"""A faster encoder that reuses a KerasNLP backbone's weights.

The same function as KerasNLP's backbones, of fewer and larger operations:

- Tokens are the rows of one matrix, so that products have rank 2, and query,
  key and value are one product.
- Where only [CLS] is asked for, only what it needs of the last layer is
  computed: nothing else reaches a classifier.
- GELU has a gradient of its own, in half the passes over memory.
- Padding can be left out of everything but the attention.

docs/performance.md has the measurements behind it.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras_nlp
import numpy as np
import tensorflow as tf

from bert_tf.models.custom_gradient import custom_gradient

_MASKED = -1e9
# The dropouts of one layer, told apart by numbers: see `Dropout`.
_SITES_A_LAYER = 3

Drop = Callable[[tf.Tensor, int], tf.Tensor]
# Of <float>[rows, any], to other rows.
Rows = Callable[[tf.Tensor], tf.Tensor]


class Dense(NamedTuple):
    """A product's weights."""

    kernel: tf.Tensor
    bias: tf.Tensor

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Returns <float>[rows, units] for <float>[rows, width]."""
        return tf.nn.bias_add(tf.matmul(x, self.kernel), self.bias)


class LayerNorm(NamedTuple):
    """A normalization's weights, <float32>[width] each."""

    gamma: tf.Tensor
    beta: tf.Tensor
    # Not a field, which would become one of the model's weights.
    epsilon = 1e-12

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Normalizes <float>[rows, width], in float32 as Keras does."""
        wide = tf.cast(x, tf.float32)
        normal = _normalize(wide, self.gamma, self.beta, self.epsilon)
        return tf.cast(normal, x.dtype)


class RobertaLayerNorm(LayerNorm):
    """The same with RoBERTa's constant."""

    epsilon = 1e-5


class LayerWeights(NamedTuple):
    """The weights of one layer.

    `projections` is one product for query, key and value side by side; in the
    last layer, where often only [CLS] asks, one for the query and one for the
    rest.
    """

    projections: tuple[Dense, ...]
    attention_output: Dense
    attention_norm: LayerNorm
    intermediate: Dense
    output: Dense
    output_norm: LayerNorm


class EncoderWeights(NamedTuple):
    """All weights, in the precision in which they are used."""

    token_embeddings: tf.Tensor
    position_embeddings: tf.Tensor
    # One table, or none.
    segment_embeddings: tuple[tf.Tensor, ...]
    embeddings_norm: LayerNorm
    # From embeddings narrower than the layers to these; else empty.
    embeddings_projection: tuple[Dense, ...]
    layers: tuple[LayerWeights, ...]
    pooler: Dense | None


def pooled_output(
    weights: EncoderWeights,
    features: dict[str, tf.Tensor],
    *,
    num_heads: int,
    drop: Drop,
    skip_padding: bool = False,
) -> tf.Tensor:
    """Returns the pooled output <float>[batch, width].

    Args:
        features: token_ids, segment_ids, padding_mask: <int32>[batch, length].
        drop: a `Dropout`, or `no_dropout`.
        skip_padding: whether padding is left out of all but the attention. Of
            a batch that is half padding a step takes two thirds of the time;
            of one without padding 1.05. XLA cannot compile it.
    """
    first = _hidden(
        weights,
        features,
        num_heads=num_heads,
        drop=drop,
        only_first=True,
        skip_padding=skip_padding,
    )
    return tf.tanh(weights.pooler(first))


def mean_output(
    weights: EncoderWeights,
    features: dict[str, tf.Tensor],
    *,
    num_heads: int,
    drop: Drop,
    exact_gelu: bool = False,
    skip_padding: bool = False,
) -> tf.Tensor:
    """Returns the mean over the last layer's tokens <float32>[batch, width].

    As sentence-transformers' mean pooling (1908.10084). Args: as of
    `sequence_output`.
    """
    hidden = sequence_output(
        weights,
        features,
        num_heads=num_heads,
        drop=drop,
        exact_gelu=exact_gelu,
        skip_padding=skip_padding,
    )
    return mean_of(hidden, features["padding_mask"])


def mean_of(hidden: tf.Tensor, padding_mask: tf.Tensor) -> tf.Tensor:
    """Returns <float32>[batch, width] of <float>[batch, length, width]."""
    mask = tf.cast(padding_mask, tf.float32)[:, :, tf.newaxis]
    total = tf.reduce_sum(tf.cast(hidden, tf.float32) * mask, axis=1)
    return total / tf.reduce_sum(mask, axis=1)


def sequence_output(
    weights: EncoderWeights,
    features: dict[str, tf.Tensor],
    *,
    num_heads: int,
    drop: Drop,
    exact_gelu: bool = False,
    skip_padding: bool = False,
) -> tf.Tensor:
    """Returns the last layer's tokens <float>[batch, length, width].

    Args: as of `pooled_output`, and whether GELU is that of Transformers, not
        google-research/bert's approximation, which KerasNLP has.
    """
    hidden = _hidden(
        weights,
        features,
        num_heads=num_heads,
        drop=drop,
        only_first=False,
        exact_gelu=exact_gelu,
        skip_padding=skip_padding,
    )
    batch, length = tf.unstack(tf.shape(features["token_ids"]))
    return tf.reshape(hidden, [batch, length, hidden.shape[1]])


def _hidden(
    weights: EncoderWeights,
    features: dict[str, tf.Tensor],
    *,
    num_heads: int,
    drop: Drop,
    only_first: bool,
    exact_gelu: bool = False,
    skip_padding: bool = False,
) -> tf.Tensor:
    """Returns the last layer's tokens <float>[rows, width].

    They are all of the batch, or the first of each text.
    """
    take, put = _same, _same
    if skip_padding:
        take, put = _take_and_put(features["padding_mask"])
    # Sums are by add_n: the gradient of + first finds out whether shapes agree.
    hidden = take(drop(_embed(weights, features), 0))
    for projection in weights.embeddings_projection:
        hidden = projection(hidden)
    masked = (1.0 - tf.cast(features["padding_mask"], tf.float32)) * _MASKED
    for number, layer in enumerate(weights.layers):
        site = 1 + number * _SITES_A_LAYER
        only_first_asks = only_first and number == len(weights.layers) - 1
        if only_first_asks:
            hidden, take, put = put(hidden), _same, _same
        asking, context = _attend(
            layer.projections,
            hidden,
            masked,
            num_heads=num_heads,
            drop=lambda x, site=site: drop(x, site),
            only_first=only_first_asks,
            take=take,
            put=put,
        )
        attended = take(drop(put(layer.attention_output(context)), site + 1))
        attended = layer.attention_norm(tf.add_n([asking, attended]))
        inner = layer.intermediate(attended)
        inner = tf.nn.gelu(inner) if exact_gelu else _gelu(inner)
        output = take(drop(put(layer.output(inner)), site + 2))
        hidden = layer.output_norm(tf.add_n([attended, output]))
    return put(hidden)


def _same(x: tf.Tensor) -> tf.Tensor:
    return x


def _take_and_put(padding_mask: tf.Tensor) -> tuple[Rows, Rows]:
    """Returns functions that leave padding out, and put it back as zeros.

    Args:
        padding_mask: <int32>[batch, length]. The rows that the functions take
            are of all its places, and of those where it is 1.
    """
    mask = tf.reshape(padding_mask, [-1])
    rows = tf.where(mask > 0)[:, 0]
    # Of padding the token before, whose copy is multiplied by 0.
    places = tf.cumsum(mask) - 1

    def take_rows(x):
        return tf.gather(x, rows)

    def put_rows(x):
        return tf.gather(x, places) * tf.cast(mask, x.dtype)[:, tf.newaxis]

    # Each is the other's gradient: TensorFlow's of a gather scatters.
    return (
        custom_gradient(lambda x: (take_rows(x), put_rows)),
        custom_gradient(lambda x: (put_rows(x), take_rows)),
    )


def _embed(weights: EncoderWeights, features: dict) -> tf.Tensor:
    """Returns <float>[batch x length, width]."""
    ids, segments = features["token_ids"], features["segment_ids"]
    positions = weights.position_embeddings[: tf.shape(ids)[1]]
    tokens = tf.gather(weights.token_embeddings, ids)
    added = tf.cast(tokens, positions.dtype) + positions
    added = tf.reshape(added, [-1, positions.shape[1]])
    # A product's gradient is faster than that of a gather, which scatters.
    for table in weights.segment_embeddings:
        chosen = tf.one_hot(
            tf.reshape(segments, [-1]), table.shape[0], dtype=table.dtype
        )
        added += tf.matmul(chosen, table)
    return weights.embeddings_norm(added)


def _attend(
    projections: tuple[Dense, ...],
    hidden: tf.Tensor,
    masked: tf.Tensor,
    *,
    num_heads: int,
    drop: Callable[[tf.Tensor], tf.Tensor],
    only_first: bool,
    take: Rows,
    put: Rows,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the tokens that ask, and what each attends to.

    Both are <float>[tokens, width], or [batch, width] where only the first
    token of each text asks.

    Args:
        projections: the weights.
        hidden: <float>[tokens, width], all of the batch or what is taken.
        masked: <float32>[batch, length], added to the scores of a token.
        drop: the dropout for the weights of the attention.
        only_first: needs a projection of its own for the query.
        take, put: see `_take_and_put`.
    """
    batch, length = tf.unstack(tf.shape(masked))
    width = hidden.shape[1]
    head_width = width // num_heads

    def split_heads(projected):
        """Returns <float>[batch, heads, tokens, head width] for each part."""
        parts = projected.shape[1] // width
        shape = [batch, -1, parts, num_heads, head_width]
        heads = tf.reshape(put(projected), shape)
        return tf.unstack(tf.transpose(heads, [2, 0, 3, 1, 4]))

    if len(projections) == 2:
        asking = hidden
        if only_first:
            asking = tf.reshape(hidden, [batch, length, width])[:, 0]
        (query,) = split_heads(projections[0](asking))
        key, value = split_heads(projections[1](hidden))
    else:
        asking = hidden
        query, key, value = split_heads(projections[0](hidden))
    scores = tf.matmul(query * head_width**-0.5, key, transpose_b=True)
    scores = tf.cast(scores, tf.float32) + masked[:, tf.newaxis, tf.newaxis]
    attention = drop(tf.cast(tf.nn.softmax(scores), value.dtype))
    context = tf.transpose(tf.matmul(attention, value), [0, 2, 1, 3])
    return asking, take(tf.reshape(context, [-1, width]))


def _normalize(
    x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float
) -> tf.Tensor:
    """Normalizes <float32>[rows, width].

    The gradient is in closed form: a quarter of TensorFlow's operations.
    """

    @custom_gradient
    def normalize(x, gamma, beta):
        centered = x - tf.reduce_mean(x, axis=-1, keepdims=True)
        variance = tf.reduce_mean(centered * centered, axis=-1, keepdims=True)
        inverse = tf.math.rsqrt(variance + epsilon)
        normal = centered * inverse

        def gradient(upstream):
            scaled = upstream * gamma
            shared = tf.reduce_mean(scaled, axis=-1, keepdims=True)
            slope = tf.reduce_mean(scaled * normal, axis=-1, keepdims=True)
            return (
                (scaled - shared - normal * slope) * inverse,
                tf.reduce_sum(upstream * normal, axis=0),
                tf.reduce_sum(upstream, axis=0),
            )

        return normal * gamma + beta, gradient

    return normalize(x, gamma, beta)


@custom_gradient
def _gelu(x: tf.Tensor) -> tuple[tf.Tensor, Callable]:
    """Returns GELU by tanh, as in google-research/bert, and its gradient."""
    slope, cubic = 0.7978845608028654, 0.044715

    def gradient(upstream):
        squares = x * x
        tanh = tf.tanh(x * (slope + slope * cubic * squares))
        inner = 0.5 * slope + 1.5 * slope * cubic * squares
        return upstream * ((0.5 + 0.5 * tanh) + x * (1.0 - tanh * tanh) * inner)

    # TensorFlow's, which it fuses with the product before while predicting.
    return tf.nn.gelu(x, approximate=True), gradient


def layer_training_flops(
    backbone: keras_nlp.models.BertBackbone, length: float | np.ndarray
) -> float | np.ndarray:
    """Returns the FLOPs of one layer's products for a token, forth and back.

    A product has two for each weight, and the backward pass two products for
    each of the forward pass: hence 6 (appendix B of PaLM,
    https://arxiv.org/abs/2204.02311).

    Args:
        backbone: whose layer.
        length: tokens of the sequence, one or an array of them.
    """
    width = backbone.hidden_dim
    weights = 4 * width**2 + 2 * width * backbone.intermediate_dim
    return 6.0 * (weights + 2 * length * width)
