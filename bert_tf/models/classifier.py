"""A BERT backbone with a softmax head, and the loss that fits it."""

from typing import NamedTuple

import keras
import keras_nlp
import tensorflow as tf

from bert_tf.models import encoder
from bert_tf.models.dropout import Dropout, no_dropout
from bert_tf.models.encoder import Dense, Drop, EncoderWeights

# As BERT's own layers are initialized.
_INITIALIZER_STDDEV = 0.02
# No other dropout has the number: see `Dropout`.
HEAD_SITE = 1_000_000


def build_classifier(
    backbone: keras_nlp.models.BertBackbone,
    *,
    num_classes: int,
    dropout: float,
    freeze_backbone: bool = False,
) -> keras.Model:
    """Puts dropout and a dense softmax layer on the pooled output.

    Args:
        backbone: takes token_ids, segment_ids and padding_mask.
        num_classes: width of the softmax.
        dropout: rate in front of the dense layer.
        freeze_backbone: train the head only (the feature-based way); build
            the backbone without dropout then, which Keras keeps up in frozen
            layers.

    Returns:
        A model with the backbone's inputs and the outputs of `classify`.
        It holds the weights; `classify` computes.
    """
    # === Layers ===
    backbone.trainable = not freeze_backbone
    head_dropout = keras.layers.Dropout(dropout, name="head_dropout")
    logits_dense = keras.layers.Dense(
        num_classes,
        kernel_initializer=keras.initializers.TruncatedNormal(
            stddev=_INITIALIZER_STDDEV
        ),
        dtype="float32",
        name="logits",
    )
    softmax = keras.layers.Softmax(dtype="float32", name="probabilities")

    # === Functional Model ===
    inputs = backbone.input
    outputs = backbone(inputs)
    logits = logits_dense(head_dropout(outputs["pooled_output"]))
    return keras.Model(
        inputs=inputs,
        outputs={
            "logits": logits,
            "probabilities": softmax(logits),
            "embedding": keras.ops.cast(outputs["pooled_output"], "float32"),
        },
        name="bert_classifier",
    )


class ClassifierWeights(NamedTuple):
    """All weights, in the precision in which they are used."""

    encoder: EncoderWeights
    logits: Dense


def classifier_weights(model: keras.Model) -> ClassifierWeights:
    """Returns the weights of a model of `build_classifier`, for `classify`."""
    head = model.get_layer("logits")
    return ClassifierWeights(
        encoder.encoder_weights(backbone_of(model)),
        Dense(*map(tf.convert_to_tensor, (head.kernel, head.bias))),
    )


def backbone_of(model: keras.Model) -> keras_nlp.models.BertBackbone:
    """Returns the backbone of a model of `build_classifier`."""
    (backbone,) = (
        layer
        for layer in model.layers
        if isinstance(layer, keras_nlp.models.BertBackbone)
    )
    return backbone


def dropouts(model: keras.Model, keys: tf.Tensor) -> tuple[Drop, Drop]:
    """Returns the backbone's and the head's dropout for a training step.

    Args:
        model: has the rates.
        keys: <uint32>[batch], see `dropout_keys`.
    """
    rates = backbone_of(model).dropout, model.get_layer("head_dropout").rate
    return tuple(Dropout(rate, keys) if rate else no_dropout for rate in rates)


def classify(
    weights: ClassifierWeights,
    features: dict[str, tf.Tensor],
    *,
    num_heads: int,
    drops: tuple[Drop, Drop] = (no_dropout, no_dropout),
) -> dict[str, tf.Tensor]:
    """Computes what a model of `build_classifier` does, faster.

    Args:
        weights: the model's.
        features: token_ids, segment_ids, padding_mask: <int32>[batch, length].
        num_heads: of the attention.
        drops: while training, see `dropouts`.

    Returns:
        logits and probabilities, <float32>[batch, num_classes] under any
        precision, and embedding <float32>[batch, width]: the pooled output.
    """
    backbone_drop, head_drop = drops
    pooled = encoder.pooled_output(
        weights.encoder, features, num_heads=num_heads, drop=backbone_drop
    )
    pooled = tf.cast(pooled, tf.float32)
    logits = weights.logits(head_drop(pooled, HEAD_SITE))
    return {
        "logits": logits,
        "probabilities": tf.nn.softmax(logits),
        "embedding": pooled,
    }


def classification_loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Returns the cross-entropy <float32>[batch] of labels <int32>[batch]."""
    return keras.losses.sparse_categorical_crossentropy(
        labels, logits, from_logits=True
    )
