"""A BERT backbone with a softmax head, and the loss that fits it."""

import keras
import keras_nlp
import tensorflow as tf

# How a text's vectors become one: BERT's own dense layer on [CLS], or the mean
# over the tokens, for which sentence-transformers' checkpoints were trained.
POOLINGS = ("cls", "mean")
# As BERT's own layers are initialized.
_INITIALIZER_STDDEV = 0.02


def build_classifier(
    backbone: keras_nlp.models.BertBackbone,
    *,
    num_classes: int,
    dropout: float,
    pooling: str = "cls",
    freeze_backbone: bool = False,
) -> keras.Model:
    """Puts dropout and a dense softmax layer on the pooled output.

    Args:
        backbone: takes token_ids, segment_ids and padding_mask.
        num_classes: width of the softmax.
        dropout: rate in front of the dense layer.
        pooling: one of POOLINGS.
        freeze_backbone: train the head only (the feature-based way); build
            the backbone without dropout then, which Keras keeps up in frozen
            layers.

    Returns:
        A model with the backbone's inputs and the outputs logits and
        probabilities, <float32>[batch, num_classes] under any precision.
    """
    # === Layers ===
    backbone.trainable = not freeze_backbone
    if pooling == "mean":
        # Not in use, so without gradients.
        backbone.get_layer("pooled_dense").trainable = False
    mean = keras.layers.GlobalAveragePooling1D(name="mean_pooling")
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
    if pooling == "mean":
        pooled = mean(outputs["sequence_output"], mask=inputs["padding_mask"])
    else:
        pooled = outputs["pooled_output"]
    logits = logits_dense(head_dropout(pooled))
    return keras.Model(
        inputs=inputs,
        outputs={"logits": logits, "probabilities": softmax(logits)},
        name="bert_classifier",
    )


def classification_loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Returns the cross-entropy <float32>[batch] of labels <int32>[batch]."""
    return keras.losses.sparse_categorical_crossentropy(
        labels, logits, from_logits=True
    )
