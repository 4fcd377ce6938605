"""A backbone with a dense head, per text or per token."""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

import keras
import keras_nlp
import numpy as np
import tensorflow as tf

from bert_tf import run_dir
from bert_tf.models import backbones, encoder
from bert_tf.models.dropout import Dropout, no_dropout
from bert_tf.models.encoder import Dense, Drop, EncoderWeights

# As BERT's own layers are initialized, truncated at twice as much.
_INITIALIZER_STDDEV = 0.02
# No other dropout has the number: see `Dropout`.
HEAD_SITE = 1_000_000
# KerasNLP's names: one vector per text, or one per token.
_POOLED, _SEQUENCE = "pooled_output", "sequence_output"
_POOLER = "pooled_dense"
CLS, MEAN = "cls", "mean"
_MEAN_LAYER = "mean_pooling"


def build_classifier(
    backbone: keras_nlp.models.Backbone,
    *,
    num_classes: int,
    dropout: float,
    freeze_backbone: bool = False,
    has_pooler: bool = True,
    is_per_token: bool = False,
    pooling: str = CLS,
) -> keras.Model:
    """Puts dropout and a dense softmax layer on the encoder's output.

    The head on each text starts as in google-research/bert. That on each token
    starts with logits of variance 1 (LeCun et al. 1998, "Efficient BackProp"),
    since from BERT's narrow weights a few hundred steps teach it little:
    docs/tasks.md has the figures.

    Args:
        backbone: takes token_ids, padding_mask and mostly segment_ids.
        num_classes: width of the dense layer.
        dropout: rate in front of the dense layer.
        freeze_backbone: train the head only (the feature-based way); build
            the backbone without dropout then, which Keras keeps up in frozen
            layers.
        has_pooler: whether the backbone's was trained before; else it is
            trained with the head.
        is_per_token: puts the head on each token, not on each text.
        pooling: cls, the pooler's output for [CLS]; or mean, that over the
            tokens of the text, without pooler.

    Returns:
        A model with the backbone's inputs and the outputs of `classify` with
        softmax. It holds the weights; `classify` computes.
    """
    # === Layers ===
    if freeze_backbone:
        # Not the backbone itself, which would freeze all of its layers.
        for layer in backbone.layers:
            layer.trainable = False
    if not has_pooler and hasattr(backbone, _POOLER):
        backbone.pooled_dense.trainable = True
    head_dropout = keras.layers.Dropout(dropout, name="head_dropout")
    logits_dense = keras.layers.Dense(
        num_classes,
        kernel_initializer=keras.initializers.LecunNormal()
        if is_per_token
        else keras.initializers.TruncatedNormal(stddev=_INITIALIZER_STDDEV),
        dtype="float32",
        name="logits",
    )
    softmax = keras.layers.Softmax(dtype="float32", name="probabilities")

    # === Functional Model ===
    inputs = backbone.input
    outputs = backbone(inputs)
    if not isinstance(outputs, dict):
        # RoBERTa's has no pooler.
        outputs = {_SEQUENCE: outputs}
    if _POOLED not in outputs and pooling == CLS:
        pooler = keras.layers.Dense(
            backbone.hidden_dim,
            activation="tanh",
            kernel_initializer=keras.initializers.TruncatedNormal(
                stddev=_INITIALIZER_STDDEV
            ),
            dtype=backbone.dtype_policy,
            name=_POOLER,
        )
        outputs[_POOLED] = pooler(outputs[_SEQUENCE][:, 0])
    if pooling == MEAN:
        mean = keras.layers.GlobalAveragePooling1D(name=_MEAN_LAYER)
        outputs[_POOLED] = mean(outputs[_SEQUENCE], mask=inputs["padding_mask"])
    logits = logits_dense(
        head_dropout(outputs[_SEQUENCE if is_per_token else _POOLED])
    )
    model = keras.Model(
        inputs=inputs,
        outputs={
            "logits": logits,
            "probabilities": softmax(logits),
            "embedding": keras.ops.cast(outputs[_POOLED], "float32"),
        },
        name="bert_classifier",
    )
    pooler = pooler_of(model)
    if pooler is not None and (is_per_token or pooling == MEAN):
        # Nothing comes from it, so that it has no gradient.
        pooler.trainable = False
    return model


def pooling_of(model: keras.Model) -> str:
    """Returns how a model of `build_classifier` pools."""
    names = {layer.name for layer in model.layers}
    return MEAN if _MEAN_LAYER in names else CLS


def pooler_of(model: keras.Model) -> keras.layers.Dense | None:
    """Returns the layer between [CLS] and the head, if there is one."""
    backbone = backbone_of(model)
    if hasattr(backbone, _POOLER):
        return backbone.pooled_dense
    names = {layer.name for layer in model.layers}
    return model.get_layer(_POOLER) if _POOLER in names else None


class ClassifierWeights(NamedTuple):
    """All weights, in the precision in which they are used."""

    encoder: EncoderWeights
    logits: Dense


def classifier_weights(model: keras.Model) -> ClassifierWeights:
    """Returns the weights of a model of `build_classifier`, for `classify`."""
    head = model.get_layer("logits")
    return ClassifierWeights(
        backbones.encoder_weights(backbone_of(model), pooler_of(model)),
        Dense(*map(tf.convert_to_tensor, (head.kernel, head.bias))),
    )


def backbone_of(model: keras.Model) -> keras_nlp.models.Backbone:
    """Returns the backbone of a model of `build_classifier`."""
    (backbone,) = (
        layer
        for layer in model.layers
        if isinstance(layer, keras_nlp.models.Backbone)
    )
    return backbone


def dropouts(model: keras.Model, keys: tf.Tensor) -> tuple[Drop, Drop]:
    """Returns the backbone's and the head's dropout for a training step.

    Args:
        model: has the rates.
        keys: <uint32>[batch], see `dropout_keys`.
    """
    rates = backbone_of(model).dropout, model.get_layer("head_dropout").rate
    return tuple(Dropout(rate, keys) for rate in rates)


def classify(
    weights: ClassifierWeights,
    features: dict[str, tf.Tensor],
    *,
    num_heads: int,
    dropouts: tuple[Drop, Drop] = (no_dropout, no_dropout),
    is_per_token: bool = False,
    pooling: str = CLS,
    skip_padding: bool = False,
    activation: Callable[[tf.Tensor], tf.Tensor] = tf.nn.softmax,
) -> dict[str, tf.Tensor]:
    """Computes what a model of `build_classifier` does, faster.

    Args:
        features: token_ids, segment_ids, padding_mask: <int32>[batch, length].
        dropouts: while training, see `dropouts`.
        skip_padding: see `encoder.pooled_output`; not of a head on each token.
        activation: from logits to probabilities.

    Returns:
        logits and probabilities, <float32>[batch, num_classes] under any
        precision, and embedding <float32>[batch, width]: the pooled output.
        Of a head on each token, logits and probabilities
        <float32>[batch, length, num_classes] alone.
    """
    backbone_drop, head_drop = dropouts
    if is_per_token:
        hidden = encoder.sequence_output(
            weights.encoder, features, num_heads=num_heads, drop=backbone_drop
        )
        batch, length, _ = tf.unstack(tf.shape(hidden))
        hidden = tf.cast(tf.reshape(hidden, [-1, hidden.shape[2]]), tf.float32)
        logits = weights.logits(head_drop(hidden, HEAD_SITE))
        logits = tf.reshape(logits, [batch, length, logits.shape[1]])
        return {"logits": logits, "probabilities": activation(logits)}
    pool = encoder.mean_output if pooling == MEAN else encoder.pooled_output
    pooled = pool(
        weights.encoder,
        features,
        num_heads=num_heads,
        drop=backbone_drop,
        skip_padding=skip_padding,
    )
    pooled = tf.cast(pooled, tf.float32)
    logits = weights.logits(head_drop(pooled, HEAD_SITE))
    return {
        "logits": logits,
        "probabilities": activation(logits),
        "embedding": pooled,
    }


_LAST_LAYER = "logits"


@contextlib.contextmanager
def rescaled(model: keras.Model, factor: float, offset: float) -> Iterator:
    """Gives a model whose logits are multiplied and shifted meanwhile."""
    layer = model.get_layer(_LAST_LAYER)
    kernel, bias = (v.numpy() for v in (layer.kernel, layer.bias))
    set_head(model, kernel * factor, bias * factor + offset)
    try:
        yield
    finally:
        set_head(model, kernel, bias)


@contextlib.contextmanager
def without_optimizer(model: keras.Model) -> Iterator:
    """Hides the optimizer from Keras, which writes and reads its moments, too.

    They are twice the weights, and a model that is kept has no use for them.
    """
    optimizer, model.optimizer = model.optimizer, None
    try:
        yield
    finally:
        model.optimizer = optimizer


def set_head(model: keras.Model, kernel: np.ndarray, bias: np.ndarray) -> None:
    """Puts weights <float32>[width, outputs] and [outputs] into the head."""
    layer = model.get_layer(_LAST_LAYER)
    layer.kernel.assign(kernel)
    layer.bias.assign(bias)


def apply_temperature(model: keras.Model, temperature: float) -> None:
    """Divides the model's logits by `temperature` from now on."""
    layer = model.get_layer(_LAST_LAYER)
    for variable in (layer.kernel, layer.bias):
        variable.assign(variable / temperature)


def read_temperature(path: str) -> float:
    """Returns a run's temperature; 1 where it was not calibrated."""
    file = os.path.join(path, run_dir.CALIBRATION)
    if not os.path.exists(file):
        return 1.0
    return run_dir.read_json(file)["temperature"]
