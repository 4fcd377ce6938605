"""The KerasNLP backbones that can be trained, and their layers.

BERT and its variants with other embeddings: `encoder_weights` gives them all
to one encoder.
"""

import functools
from collections.abc import Collection

import keras
import keras_nlp
import numpy as np
import tensorflow as tf

from bert_tf import run_dir
from bert_tf.errors import InputError
from bert_tf.models.encoder import (
    Dense,
    EncoderWeights,
    LayerNorm,
    LayerWeights,
    RobertaLayerNorm,
)

BERT, ELECTRA = "BertBackbone", "ElectraBackbone"
ROBERTA, ALBERT = "RobertaBackbone", "AlbertBackbone"
CLASSES = {
    name: getattr(keras_nlp.models, name)
    for name in (BERT, ELECTRA, ROBERTA, ALBERT)
}
_CLASS = "class_name"
_NORMS = {norm.epsilon: norm for norm in (LayerNorm, RobertaLayerNorm)}


def set_precision(mixed_precision: str) -> None:
    """Keeps GPUs from rounding float32 products to TF32's 10 bits of mantissa.

    Else an export made on a CPU would not answer within 1e-5 of the training.
    """
    tf.config.experimental.enable_tensor_float_32_execution(
        mixed_precision != "float32"
    )


def embedding_layers(backbone: keras_nlp.models.Backbone) -> list:
    """Returns the layers before the first of the encoder, in one order."""
    return [
        backbone.token_embedding,
        position_embedding(backbone),
        *_segment_embeddings(backbone),
        backbone.embeddings_layer_norm,
        *projections(backbone),
    ]


def position_embedding(
    backbone: keras_nlp.models.Backbone,
) -> keras_nlp.layers.PositionEmbedding:
    """Returns the layer with the positions."""
    if isinstance(backbone, CLASSES[ROBERTA]):
        return backbone.embeddings.position_embedding
    return backbone.position_embedding


def _segment_embeddings(backbone) -> list:
    if isinstance(backbone, CLASSES[ROBERTA]):
        return []
    return [backbone.segment_embedding]


def projections(backbone: keras_nlp.models.Backbone) -> list:
    """Returns the layer from narrower embeddings to the layers, if any."""
    projection = getattr(backbone, "embeddings_projection", None)
    return [] if projection is None else [projection]


def encoder_layers(backbone: keras_nlp.models.Backbone) -> list:
    """Returns the layers in the order of their use, shared ones repeatedly."""
    if not isinstance(backbone, CLASSES[ALBERT]):
        return backbone.transformer_layers
    uses = backbone.num_layers // backbone.num_groups
    return [
        layer
        for group in backbone.transformer_layers
        for _ in range(uses)
        for layer in group
    ]


def unshared_size(backbone: keras_nlp.models.Backbone) -> int:
    """Returns the number of weights if no layers shared theirs."""
    layers = encoder_layers(backbone)
    unique = {id(layer): layer for layer in layers}.values()
    return (
        backbone.count_params()
        + sum(layer.count_params() for layer in layers)
        - sum(layer.count_params() for layer in unique)
    )


def count_parameters(model: keras.Model) -> int:
    """Returns the number of weights."""
    return int(sum(np.prod(variable.shape) for variable in model.variables))


def check_kind(
    backbone_class: type, kinds: Collection[str], what: str, purpose: str
) -> None:
    """Raises InputError unless a class of backbones is of some kinds.

    Args:
        backbone_class: of a checkpoint.
        kinds: of CLASSES.
        what: names the checkpoint.
        purpose: what only these can do.
    """
    if backbone_class.__name__ not in kinds:
        raise InputError(
            f"{what} has a {backbone_class.__name__}, and {purpose} takes "
            f"{' and '.join(kinds)} only"
        )


def save_config(path: str, backbone: keras_nlp.models.Backbone) -> None:
    """Writes what `from_config` needs to build the same layers."""
    config = own_config(backbone)
    name = type(backbone).__name__
    run_dir.write_json(
        path, config if name == BERT else {_CLASS: name, **config}
    )


def own_config(backbone: keras_nlp.models.Backbone) -> dict:
    """Returns the arguments that a backbone was built with."""
    config = backbone.get_config()
    for key in ("name", "dtype", "trainable"):
        config.pop(key, None)
    return config


def from_config(path: str, *, dtype: str) -> keras_nlp.models.Backbone:
    """Builds a backbone with random weights from a saved configuration."""
    config = run_dir.read_json(path)
    backbone_class = CLASSES[config.pop(_CLASS, BERT)]
    return backbone_class(**config, dtype=keras.dtype_policies.get(dtype))


def encoder_weights(
    backbone: keras_nlp.models.Backbone,
    pooler: keras.layers.Dense | None = None,
) -> EncoderWeights:
    """Returns a backbone's weights; gradients go back to its variables.

    Args:
        backbone: of one of CLASSES.
        pooler: where the backbone has none of its own, which is taken else.
    """
    if pooler is None:
        pooler = getattr(backbone, "pooled_dense", None)

    def cast(variable):
        return tf.cast(tf.convert_to_tensor(variable), backbone.compute_dtype)

    def dense(*layers):
        """Joins layers of one input; those of attention have more axes."""
        kernels = [cast(layer.kernel) for layer in layers]
        if kernels[0].shape.rank == 3:
            shape = [backbone.hidden_dim, backbone.hidden_dim]
            kernels = [tf.reshape(kernel, shape) for kernel in kernels]
        biases = [tf.reshape(cast(layer.bias), [-1]) for layer in layers]
        return Dense(
            tf.concat(kernels, 1) if len(layers) > 1 else kernels[0],
            tf.concat(biases, 0) if len(layers) > 1 else biases[0],
        )

    def norm(layer):
        return _NORMS[layer.epsilon](
            tf.convert_to_tensor(layer.gamma), tf.convert_to_tensor(layer.beta)
        )

    # Keras has no public names for the parts of a layer. Each is joined once,
    # so that the weights of shared layers are not held repeatedly.
    @functools.cache
    def joined(layer):
        attention = layer._self_attention_layer
        return (
            dense(
                attention._query_dense,
                attention._key_dense,
                attention._value_dense,
            ),
        )

    def split(layer):
        attention = layer._self_attention_layer
        return (
            dense(attention._query_dense),
            dense(attention._key_dense, attention._value_dense),
        )

    @functools.cache
    def rest(layer):
        return (
            dense(layer._self_attention_layer._output_dense),
            norm(layer._self_attention_layer_norm),
            dense(layer._feedforward_intermediate_dense),
            dense(layer._feedforward_output_dense),
            norm(layer._feedforward_layer_norm),
        )

    *lower, last = encoder_layers(backbone)
    layers = [LayerWeights(joined(layer), *rest(layer)) for layer in lower]
    layers.append(LayerWeights(split(last), *rest(last)))
    return EncoderWeights(
        # As a variable, so that only the rows in use are read.
        backbone.token_embedding.embeddings.value,
        cast(position_embedding(backbone).position_embeddings),
        tuple(
            cast(layer.embeddings) for layer in _segment_embeddings(backbone)
        ),
        norm(backbone.embeddings_layer_norm),
        tuple(dense(layer) for layer in projections(backbone)),
        tuple(layers),
        None if pooler is None else dense(pooler),
    )
