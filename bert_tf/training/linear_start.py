"""Fits a model's head, a linear probe, to its backbone as it is."""

import os
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from bert_tf import run_dir
from bert_tf.data.input_pipeline import EncodedTexts
from bert_tf.data.tfrecords import TokenizedRecords
from bert_tf.inference.keras_predictor import KerasPredictor
from bert_tf.models import classifier
from bert_tf.tasks.base import Task
from bert_tf.training import strategy as strategy_lib

# Rows that it is fitted to; more hardly change it.
_MOST_ROWS = 10_000


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
) -> tuple[float, float]:
    """Fits the head to training rows, or to a random 10,000 of them.

    Args:
        predict: with `model`.
        encoded: tokens of all training rows.
        targets, weights: of these rows.
        strength: see `Task.fit_linear_probe`.
        seed: of which rows.

    Returns:
        The loss of these rows, and the share of them that is right.
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
    return (
        float(np.average(losses, weights=weights)),
        float(np.mean(num_correct)),
    )


def write_predictions(
    folder: str, predictions: Mapping[str, np.ndarray]
) -> None:
    """Writes what a linear probe predicts, to compare with, by split."""
    path = os.path.join(folder, run_dir.LINEAR_PROBE)
    with run_dir.written_aside(path) as aside:
        np.savez(aside, **predictions)


def read_predictions(folder: str) -> dict[str, np.ndarray]:
    """Reads what `write_predictions` wrote; empty where nothing was."""
    path = os.path.join(folder, run_dir.LINEAR_PROBE)
    if not os.path.exists(path):
        return {}
    with np.load(path) as arrays:
        return dict(arrays)
