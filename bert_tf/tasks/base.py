"""The interface of a task."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Self

import numpy as np
import pandas as pd
import tensorflow as tf

from bert_tf.data.input_pipeline import EncodedTexts
from bert_tf.metrics.bootstrap import BootstrapMetrics

# Of a signature: what it is for, and from the model's outputs to its own.
Signature = tuple[str, Callable[[dict], dict]]


@dataclasses.dataclass(frozen=True)
class TaskOptions:
    """What the settings of a training say of its task.

    Attributes:
        label_separator: stands between labels, where there are several.
        stride: of windows; None cuts long texts off.
        window_pooling: how windows become one answer.
        positive_label: of two classes, the one that F1 is of; None chooses.
    """

    label_separator: str
    stride: int | None
    window_pooling: str
    positive_label: str | None = None


class Task:
    """What differs between tasks, and what is usual.

    Attributes:
        name: what --task is.
        class_names: one for each output; empty where outputs are no classes.
        is_per_token: whether the head is on each token, not on each text.
        prediction_key: the model's output from which metrics and answers are
            made.
        with_offsets: whether these need to know where the word pieces are.
        stride: of windows over long texts, see `encode`; None cuts them off.
        window_pooling: how windows become one answer, see `pool`; tasks with
            offsets do it in a way of their own.
        has_thresholds: whether there is something to fit.
        is_multiclass: whether each example has one class of several: then
            there are a confusion matrix, a baseline, calibration and so on.
        selection_metric: what chooses the best epoch unless one is named.
        metric_rows: what to show of the metrics: title and key.
        answer_columns: of the predictions file, before the true label.
        detail_columns: after it.
    """

    name: ClassVar[str]
    class_names: tuple[str, ...]
    prediction_key: ClassVar[str]
    selection_metric: str
    metric_rows: Sequence[tuple[str, str]]
    answer_columns: Sequence[str]
    detail_columns: Sequence[str] = ()
    is_per_token: ClassVar[bool] = False
    with_offsets: ClassVar[bool] = False
    stride: int | None = None
    window_pooling: str = "mean"
    has_thresholds: ClassVar[bool] = False
    is_multiclass: ClassVar[bool] = False

    @property
    def num_outputs(self) -> int:
        """One for each class."""
        return len(self.class_names)

    @property
    def parameters(self) -> dict:
        """What the task is built from besides the classes, for JSON."""
        if self.stride is None:
            return {}
        return {"stride": self.stride, "window_pooling": self.window_pooling}

    @property
    def scale(self) -> tuple[float, float]:
        """Factor and offset from logits in training to those that are saved."""
        return 1.0, 0.0

    def saved_form(self) -> Self:
        """Returns the task for weights as they are saved."""
        return self

    @classmethod
    def from_splits(
        cls,
        splits: Mapping[str, pd.DataFrame],
        class_names: tuple[str, ...],
        options: TaskOptions,
    ) -> Self:
        """Builds the task of labelled rows.

        Args:
            splits: `train` and others, their labels checked, see `LabelType`.
            class_names: of the training split.
            options: what the settings say of it.
        """
        raise NotImplementedError

    def targets(
        self, examples: pd.DataFrame, encoded: EncodedTexts
    ) -> np.ndarray | tf.RaggedTensor:
        """Returns the labels as `build_dataset` takes them."""
        raise NotImplementedError

    def weights(self, targets, class_weight: str) -> np.ndarray:
        """Returns how much each row counts <float32>[rows]."""
        del class_weight
        return np.ones(len(targets), np.float32)

    def activate(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns the output `probabilities` <float32>, shaped as logits."""
        raise NotImplementedError

    def loss(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Returns <float32>[batch]."""
        raise NotImplementedError

    def num_correct(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Returns how much of each row is right, 0 to 1: <float32>[batch]."""
        raise NotImplementedError

    def metrics(
        self,
        examples: pd.DataFrame,
        encoded: EncodedTexts,
        predictions: np.ndarray,
    ) -> dict:
        """Returns what metrics.json holds; every number finite or None.

        Args:
            predictions: <float32>[rows, outputs], or [all tokens, outputs] of a
                head on each token.
        """
        raise NotImplementedError

    def bootstrap_metrics(
        self, examples, encoded, predictions
    ) -> BootstrapMetrics:
        """Returns what measures samples of the rows, for intervals.

        Classifications have `intervals.bootstrap_metrics` instead.
        """
        raise NotImplementedError

    def fit_linear_probe(
        self,
        features: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray,
        *,
        strength: float | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns kernel and bias that fit features; PROBED_TASKS have it.

        Args:
            features: <float32>[rows, width].
            targets: of these rows, see `targets`.
            weights: see `weights`.
            strength: of a classification, see `linear_probe.fit_classes`.
        """
        raise NotImplementedError

    def fit_thresholds(self, examples, encoded, predictions) -> Self:
        """Returns the task with parameters fitted to these predictions."""
        del examples, encoded, predictions
        return self

    def in_windows(self, outputs: Mapping[str, tf.Tensor]) -> dict:
        """Returns vectors of what is kept of each window.

        Tasks with a stride and offsets have it, and the shapes and dtypes as
        `window_specs`.

        It takes what functions of `signatures` take without windows; theirs
        take its results, `example_index` <int64>[windows] and `text`.
        """
        raise NotImplementedError

    def signatures(self) -> dict[str, Signature]:
        """Returns the signatures of the SavedModel that take texts.

        Their functions take the model's outputs and, with offsets, `offsets`
        <int32>[batch, length, 3] and `text` <string>[batch]; serving_default
        is the answer.
        """
        raise NotImplementedError

    def to_row(
        self, answer: Mapping[str, np.ndarray], row: int
    ) -> tuple[list[str], list[str]]:
        """Returns answer_columns and detail_columns of a row of an answer."""
        raise NotImplementedError

    def max_abs_difference(
        self, expected: Mapping[str, str], answer_row
    ) -> float:
        """Returns how far two answers are apart; inf where they contradict.

        Args:
            expected: a row of predictions.csv by column.
        """
        raise NotImplementedError

    def margins(
        self, encoded: EncodedTexts, predictions: np.ndarray
    ) -> np.ndarray:
        """Returns how far probabilities may move before an answer is another.

        Tasks with offsets have it: there an answer does not tell.

        Returns:
            <float>[texts], 0 for a tie.
        """
        raise NotImplementedError


def timed_metrics(
    task: Task,
    examples: pd.DataFrame,
    encoded: EncodedTexts,
    predictions: np.ndarray,
    *,
    seconds: float,
) -> dict:
    """Returns `Task.metrics`, and how fast a prediction of `seconds` was."""
    return {
        **task.metrics(examples, encoded, predictions),
        "eval_samples": len(examples),
        "eval_runtime": seconds,
        "eval_samples_per_second": len(examples) / seconds,
    }


def number(value: np.floating) -> str:
    """Returns the shortest text that reads back as a float32."""
    return str(value)


def probability_columns(class_names: Sequence[str]) -> tuple[str, ...]:
    """Returns the name of each class's column."""
    return tuple(f"probability_{name}" for name in class_names)


def largest_difference(
    expected: Mapping[str, str],
    columns: Sequence[str],
    answer_row: Sequence[str],
) -> float:
    """Returns the largest difference between numbers in the same columns."""
    pairs = zip(columns, answer_row, strict=True)
    return max(
        abs(np.float32(expected[column]) - np.float32(cell))
        for column, cell in pairs
    )
