"""Fits a model's head, a linear probe, to its backbone as it is."""

import os
from collections.abc import Mapping
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from bert_tf import run_dir
from bert_tf.data.input_pipeline import EncodedTexts
from bert_tf.data.tfrecords import TokenizedRecords
from bert_tf.inference.keras_predictor import KerasPredictor
from bert_tf.models import classifier
from bert_tf.tasks import linear_probe
from bert_tf.tasks.base import Task
from bert_tf.training import strategy as strategy_lib

# Rows that it is fitted to; more hardly change it.
_MOST_ROWS = 10_000
_CURVE = "learning_curve"


class FittedHead(NamedTuple):
    """What came of fitting a head.

    Attributes:
        loss: of the rows it was fitted to.
        share_correct: of these.
        learning_curve: see `linear_probe.learning_curve`; of a first probe of
            one class a text, else empty.
    """

    loss: float
    share_correct: float
    learning_curve: dict[int, float]


def fit_head(
    model: keras.Model,
    task: Task,
    strategy: tf.distribute.Strategy,
    predict: KerasPredictor,
    encoded: EncodedTexts | TokenizedRecords,
    targets: np.ndarray,
    weights: np.ndarray,
    *,
    strength: float | None,
    seed: int,
) -> FittedHead:
    """Fits the head to training rows, or to a random 10,000 of them.

    Args:
        predict: with `model`.
        encoded: tokens of all training rows.
        targets, weights: of these rows.
        strength: see `Task.fit_linear_probe`; given where the backbone has been
            trained on these rows, so that parts of them tell nothing.
        seed: of which rows.
    """
    generator = np.random.default_rng(seed)
    rows = np.sort(generator.permutation(len(targets))[:_MOST_ROWS])
    vectors = predict.embed(encoded, rows)
    targets, weights = targets[rows], weights[rows]
    kernel, bias = task.fit_linear_probe(
        vectors, targets, weights, strength=strength
    )
    strategy_lib.check_agreement(
        strategy,
        "the linear probe (on CPUs that differ pass --head_init=random)",
        [float(values.sum(dtype=np.float64)) for values in (kernel, bias)],
    )
    classifier.set_head(model, kernel, bias)
    logits = tf.constant(vectors @ kernel + bias)
    losses = task.loss(targets, logits) * task.scale[0] ** 2
    num_correct = task.num_correct(targets, logits)
    curve = {}
    if task.is_multiclass and strength is None:
        curve = linear_probe.learning_curve(vectors, targets)
    return FittedHead(
        float(np.average(losses, weights=weights)),
        float(np.mean(num_correct)),
        curve,
    )


def write(
    folder: str,
    predictions: Mapping[str, np.ndarray],
    learning_curve: Mapping[int, float],
) -> None:
    """Writes what a linear probe predicts, by split, and its learning curve."""
    path = os.path.join(folder, run_dir.LINEAR_PROBE)
    curve = np.array(list(learning_curve.items())).reshape([-1, 2])
    with run_dir.written_aside(path) as aside:
        np.savez(aside, **predictions, **{_CURVE: curve})


def read(folder: str) -> tuple[dict[str, np.ndarray], list[dict]]:
    """Reads what `write` wrote; empty where nothing was.

    Returns:
        The predictions by split, and the learning curve, for JSON.
    """
    path = os.path.join(folder, run_dir.LINEAR_PROBE)
    if not os.path.exists(path):
        return {}, []
    with np.load(path) as arrays:
        predictions = dict(arrays)
    curve = [
        {"train_samples": int(rows), "accuracy": float(accuracy)}
        for rows, accuracy in predictions.pop(_CURVE, [])
    ]
    return predictions, curve
