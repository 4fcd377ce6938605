"""What a task has to say; everything else asks it and knows no task."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Self

import numpy as np
import pandas as pd
import tensorflow as tf

from bert_tf.data.pipeline import EncodedTexts
from bert_tf.metrics.resampling import Measure

# Of a signature: what it is for, and from the model's outputs to its own.
Signature = tuple[str, Callable[[dict], dict]]


@dataclasses.dataclass(frozen=True)
class TaskOptions:
    """What the settings of a training say of its task.

    Attributes:
        label_separator: stands between labels, where there are several.
        stride: of windows; None cuts long texts off.
        window_pooling: how windows become one answer.
    """

    label_separator: str
    stride: int | None
    window_pooling: str


class Task:
    """What differs between tasks, and what is usual.

    Attributes:
        name: what --task is.
        class_names: one for each output; empty where outputs are no classes.
        is_per_token: whether the head is on each token, not on each text.
        predicted: the model's output from which metrics and answers are made.
        with_places: whether these need to know where the word pieces are.
        stride: of windows over long texts, see `encode`; None cuts them off.
        window_pooling: how windows become one answer, see `pool`; tasks with
            places do it in a way of their own.
        has_parameters: whether there is something to fit.
        has_single_label: whether each example has one class of several: then
            there are a confusion matrix, a baseline, calibration and so on.
        selection_metric: what chooses the best epoch unless one is named.
        metric_rows: what to show of the metrics: title and key.
        answer_columns: of the predictions file, before the true label.
        detail_columns: after it.
    """

    name: ClassVar[str]
    class_names: tuple[str, ...]
    predicted: ClassVar[str]
    selection_metric: str
    metric_rows: Sequence[tuple[str, str]]
    answer_columns: Sequence[str]
    detail_columns: Sequence[str] = ()
    is_per_token: ClassVar[bool] = False
    with_places: ClassVar[bool] = False
    stride: int | None = None
    window_pooling: str = "mean"
    has_parameters: ClassVar[bool] = False
    has_single_label: ClassVar[bool] = False

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

    def hits(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Returns how much of each row is right, 0 to 1: <float32>[batch]."""
        raise NotImplementedError

    def metrics(
        self,
        examples: pd.DataFrame,
        encoded: EncodedTexts,
        predicted: np.ndarray,
    ) -> dict:
        """Returns what metrics.json holds; every number finite or None.

        Args:
            examples: the labelled rows.
            encoded: their tokens.
            predicted: <float32>[rows, outputs], or [all tokens, outputs] of a
                head on each token.
        """
        raise NotImplementedError

    def resampled(self, examples, encoded, predicted) -> Measure:
        """Returns what measures samples of the rows, for intervals.

        Classifications have `intervals.resampled_metrics` instead.
        """
        raise NotImplementedError

    def tuned(self, examples, encoded, predicted) -> Self:
        """Returns the task with parameters fitted to these predictions."""
        del examples, encoded, predicted
        return self

    def in_windows(self, outputs: Mapping[str, tf.Tensor]) -> dict:
        """Returns vectors of what is kept of each window.

        Tasks with a stride and places have it, and the shapes and dtypes as
        `window_specs`.

        It takes what functions of `signatures` take without windows; theirs
        take its results, `owners` <int64>[windows] and `text`.
        """
        raise NotImplementedError

    def signatures(self) -> dict[str, Signature]:
        """Returns the signatures of the SavedModel that take texts.

        Their functions take the model's outputs and, with places, `places`
        <int32>[batch, length, 3] and `text` <string>[batch]; serving_default
        is the answer.
        """
        raise NotImplementedError

    def cells(
        self, answer: Mapping[str, np.ndarray], row: int
    ) -> tuple[list[str], list[str]]:
        """Returns answer_columns and detail_columns of a row of an answer."""
        raise NotImplementedError

    def difference(self, expected: Mapping[str, str], cells) -> float:
        """Returns how far two answers are apart; inf where they contradict.

        Args:
            expected: a row of predictions.csv by column.
            cells: what `cells` returned.
        """
        raise NotImplementedError


def timed_metrics(
    task: Task,
    examples: pd.DataFrame,
    encoded: EncodedTexts,
    predicted: np.ndarray,
    *,
    seconds: float,
) -> dict:
    """Returns `Task.metrics`, and how fast a prediction of `seconds` was."""
    return {
        **task.metrics(examples, encoded, predicted),
        "eval_samples": len(examples),
        "eval_runtime": seconds,
        "eval_samples_per_second": len(examples) / seconds,
    }
