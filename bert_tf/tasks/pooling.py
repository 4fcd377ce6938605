"""Reorders predictions of batches and windows to match the texts."""

from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from bert_tf.data.input_pipeline import EncodedTexts
from bert_tf.tasks.base import Task


def pool(
    task: Task, outputs: dict[str, tf.Tensor], example_index: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Returns a row for each text, of the rows of its windows.

    The mean, or with window_pooling "max" the largest of each number, as BERT
    MaxP (Dai and Callan 2019, 1905.09217); then the probabilities of classes
    are divided by their sum. Embeddings are always averaged.

    Args:
        task: says how.
        outputs: of the model: <float32>[windows, any].
        example_index: <int64>[windows], see `Windows`; every text has one.
    """
    count = tf.reduce_sum(example_index[-1:] + 1)

    def mean(values):
        # Tens of thousands of windows add up to an error of 2e-4 in float32.
        pooled = tf.math.unsorted_segment_mean(
            tf.cast(values, tf.float64), example_index, count
        )
        return tf.cast(pooled, values.dtype)

    def largest(values):
        pooled = tf.math.unsorted_segment_max(values, example_index, count)
        if not task.is_multiclass:
            return pooled
        return pooled / tf.reduce_sum(pooled, axis=1, keepdims=True)

    return {
        name: largest(values)
        if task.window_pooling == "max" and name == task.prediction_key
        else mean(values)
        for name, values in outputs.items()
    }


def collect(
    task: Task,
    encoded: EncodedTexts,
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
) -> np.ndarray:
    """Returns the predictions of batches in the order of the texts.

    Args:
        encoded: the tokens of all texts.
        batches: row numbers <int>[batch], -1 where a batch was filled up, and
            outputs <float32>[batch, outputs] or [batch, length, outputs].

    Returns:
        <float32>[texts, outputs], or of a head on each token
        <float32>[all tokens, outputs]; windows are combined unless the task
        has a way of its own.
    """
    splits = encoded.row_splits
    count = splits[-1] if task.is_per_token else len(encoded.lengths)
    predictions = np.full([count, task.num_outputs], np.nan, np.float32)
    for rows, outputs in batches:
        if not task.is_per_token:
            predictions[rows[rows >= 0]] = outputs[rows >= 0]
            continue
        for row, values in zip(rows, outputs, strict=True):
            if row >= 0:
                start, end = splits[row : row + 2]
                predictions[start:end] = values[: end - start]
    if encoded.example_index is None or task.with_offsets:
        return predictions
    outputs = {task.prediction_key: tf.constant(predictions)}
    return pool(task, outputs, tf.constant(encoded.example_index))[
        task.prediction_key
    ].numpy()


def by_window(
    task: Task,
    labels: np.ndarray,
    weights: np.ndarray,
    encoded: EncodedTexts,
    *,
    steps: int,
) -> tuple[np.ndarray, np.ndarray, float | None]:
    """Returns labels, weights and weight_sum of windows for `build_dataset`.

    A window has its text's label and an equal share of its weight, so that a
    text counts the same in however many windows it is. Those of long texts
    meet in batches, which must then count less than others: an epoch's loss is
    the mean over its texts.

    Args:
        task: without windows its rows stay as they are.
        labels: [texts, ...].
        weights: <float32>[texts].
        steps: batches of an epoch.
    """
    if task.stride is None or task.with_offsets:
        return labels, weights, None
    if len(encoded.example_index) == len(weights):
        # No text is long, so nothing differs from training without windows.
        return labels, weights, None
    shares = (weights / np.bincount(encoded.example_index)).astype(np.float32)
    shares = shares[encoded.example_index]
    return labels[encoded.example_index], shares, float(shares.sum()) / steps
