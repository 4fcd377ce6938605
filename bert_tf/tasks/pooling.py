"""Combines the windows of a long text into one prediction."""

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


def by_text(
    task: Task, predictions: np.ndarray, encoded: EncodedTexts
) -> np.ndarray:
    """Returns what is predicted for each text <float32>[texts, outputs].

    What is given where there are no windows, or the task combines them.
    """
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
        encoded: the windows.
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
