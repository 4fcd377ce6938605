"""The backbones of KerasNLP that are trained, and where their parts are.

BERT, and what is BERT with other embeddings: `encoder_weights` gives them all
to one encoder.
"""

import keras
import keras_nlp
import tensorflow as tf

from bert_tf import run_dir
from bert_tf.errors import InputError
from bert_tf.models.encoder import (
    Dense,
    EncoderWeights,
    LayerNorm,
    LayerWeights,
)

BERT, ELECTRA = "BertBackbone", "ElectraBackbone"
CLASSES = {
    BERT: keras_nlp.models.BertBackbone,
    ELECTRA: keras_nlp.models.ElectraBackbone,
}
_CLASS = "class_name"


def embedding_layers(backbone: keras_nlp.models.Backbone) -> list:
    """Returns the layers before the first of the encoder, in one order."""
    layers = [
        backbone.token_embedding,
        backbone.position_embedding,
        backbone.segment_embedding,
        backbone.embeddings_layer_norm,
    ]
    return layers + projections(backbone)


def projections(backbone: keras_nlp.models.Backbone) -> list:
    """Returns the layer from narrower embeddings to the layers, if any."""
    projection = getattr(backbone, "embeddings_projection", None)
    return [] if projection is None else [projection]


def check_is_bert(backbone_class: type, what: str, purpose: str) -> None:
    """Raises InputError unless backbones of a class are plain BERTs.

    Args:
        backbone_class: of a checkpoint.
        what: names the checkpoint.
        purpose: what only BERTs can do.
    """
    if backbone_class is not CLASSES[BERT]:
        kind = backbone_class.__name__.removesuffix("Backbone")
        raise InputError(
            f"{what} is of the kind {kind}, and {purpose} takes BERTs only"
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


def encoder_weights(backbone: keras_nlp.models.Backbone) -> EncoderWeights:
    """Returns a backbone's weights; gradients go back to its variables."""

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
        return LayerNorm(
            tf.convert_to_tensor(layer.gamma), tf.convert_to_tensor(layer.beta)
        )

    layers = []
    for layer in backbone.transformer_layers:
        # Keras has no public names for the parts of a layer.
        attention = layer._self_attention_layer
        query = attention._query_dense
        key_value = attention._key_dense, attention._value_dense
        is_last = layer is backbone.transformer_layers[-1]
        layers.append(
            LayerWeights(
                (dense(query), dense(*key_value))
                if is_last
                else (dense(query, *key_value),),
                dense(attention._output_dense),
                norm(layer._self_attention_layer_norm),
                dense(layer._feedforward_intermediate_dense),
                dense(layer._feedforward_output_dense),
                norm(layer._feedforward_layer_norm),
            )
        )
    return EncoderWeights(
        # As a variable, so that only the rows in use are read.
        backbone.token_embedding.embeddings.value,
        cast(backbone.position_embedding.position_embeddings),
        cast(backbone.segment_embedding.embeddings),
        norm(backbone.embeddings_layer_norm),
        tuple(dense(layer) for layer in projections(backbone)),
        tuple(layers),
        dense(backbone.pooled_dense),
    )
