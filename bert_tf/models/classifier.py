"""A BERT backbone with a softmax head, and the loss that fits it."""

import keras
import keras_nlp
import tensorflow as tf

from bert_tf.models import encoder
from bert_tf.models.dropout import Dropout, no_dropout

# As BERT's own layers are initialized.
_INITIALIZER_STDDEV = 0.02
# No other dropout has the number: see `Dropout`.
_HEAD_SITE = 1_000_000


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
        A model with the backbone's inputs and the outputs of `classify`,
        which computes the same faster.
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


def classify(
    model: keras.Model,
    features: dict[str, tf.Tensor],
    *,
    dropout_keys: tf.Tensor | None = None,
) -> dict[str, tf.Tensor]:
    """Runs a model of `build_classifier`.

    Args:
        model: the classifier.
        features: token_ids, segment_ids, padding_mask: <int32>[batch, length].
        dropout_keys: <uint32>[batch] while training, see `Dropout`.

    Returns:
        logits and probabilities, <float32>[batch, num_classes] under any
        precision, and embedding <float32>[batch, width]: the pooled output.
    """
    (backbone,) = (
        layer
        for layer in model.layers
        if isinstance(layer, keras_nlp.models.BertBackbone)
    )
    head_dropout = model.get_layer("head_dropout").rate
    backbone_drop = head_drop = no_dropout
    if dropout_keys is not None and backbone.dropout:
        backbone_drop = Dropout(backbone.dropout, dropout_keys)
    if dropout_keys is not None and head_dropout:
        head_drop = Dropout(head_dropout, dropout_keys)
    pooled = encoder.pooled_output(backbone, features, drop=backbone_drop)
    dense = model.get_layer("logits")
    logits = tf.cast(head_drop(pooled, _HEAD_SITE), tf.float32)
    logits = tf.matmul(logits, dense.kernel) + dense.bias
    return {
        "logits": logits,
        "probabilities": tf.nn.softmax(logits),
        "embedding": tf.cast(pooled, tf.float32),
    }


def classification_loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Returns the cross-entropy <float32>[batch] of labels <int32>[batch]."""
    return keras.losses.sparse_categorical_crossentropy(
        labels, logits, from_logits=True
    )
