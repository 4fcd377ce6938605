"""Builds and calls a task's model."""

from collections.abc import Mapping

import keras
import keras_nlp
import tensorflow as tf

from bert_tf.models import classifier
from bert_tf.models.classifier import ClassifierWeights
from bert_tf.models.dropout import no_dropout
from bert_tf.models.encoder import Drop
from bert_tf.tasks.base import Task


def build_model(
    task: Task,
    backbone: keras_nlp.models.Backbone,
    *,
    dropout: float,
    freeze_backbone: bool = False,
    has_pooler: bool = True,
    pooling: str = classifier.CLS,
) -> keras.Model:
    """Puts the task's head on a backbone, see `build_classifier`."""
    return classifier.build_classifier(
        backbone,
        num_classes=task.num_outputs,
        dropout=dropout,
        freeze_backbone=freeze_backbone,
        has_pooler=has_pooler,
        is_per_token=task.is_per_token,
        pooling=pooling,
    )


def forward(
    task: Task,
    model: keras.Model,
    features: Mapping[str, tf.Tensor],
    *,
    weights: ClassifierWeights | None = None,
    dropouts: tuple[Drop, Drop] = (no_dropout, no_dropout),
    skip_padding: bool = False,
) -> dict[str, tf.Tensor]:
    """Returns the model's outputs, see `classify`.

    Args:
        model: of `build_model`.
        features: token_ids, segment_ids, padding_mask: <int32>[batch, length].
        weights: the model's, where they are to be had already.
        dropouts, skip_padding: see `classify`.
    """
    return classifier.classify(
        weights or classifier.classifier_weights(model),
        features,
        num_heads=classifier.backbone_of(model).num_heads,
        dropouts=dropouts,
        is_per_token=task.is_per_token,
        pooling=classifier.pooling_of(model),
        skip_padding=skip_padding,
        activation=task.activate,
    )
