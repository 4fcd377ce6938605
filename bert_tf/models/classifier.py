"""A BERT backbone with a softmax head, and the loss that fits it."""

import keras
import keras_nlp
import tensorflow as tf

# As BERT's own layers are initialized.
_INITIALIZER_STDDEV = 0.02


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
        A model with the backbone's inputs and the outputs logits and
        probabilities, <float32>[batch, num_classes] under any precision, and
        embedding <float32>[batch, width]: the pooled output.
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


def classification_loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Returns the cross-entropy <float32>[batch] of labels <int32>[batch]."""
    return keras.losses.sparse_categorical_crossentropy(
        labels, logits, from_logits=True
    )
