"""Regression: a number for each text or pair."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import tensorflow as tf

from bert_tf.metrics import regression as metrics_lib
from bert_tf.metrics.bootstrap import BootstrapMetrics
from bert_tf.tasks import base as base_lib
from bert_tf.tasks.base import Signature, Task


@dataclasses.dataclass(frozen=True)
class Regression(Task):
    """See `Task`."""

    class_names: tuple[str, ...] = ()
    stride: int | None = None
    window_pooling: str = "mean"
    # Of the training targets: the head learns them standardized, since AdamW
    # moves a weight by about the sum of the learning rates, which would not
    # reach prices. Saved weights have both folded in, see `saved_form`.
    mean: float = 0.0
    deviation: float = 1.0

    name: ClassVar[str] = "regression"
    prediction_key: ClassVar[str] = "logits"
    num_outputs: ClassVar[int] = 1
    selection_metric: ClassVar[str] = "pearson"
    metric_rows: ClassVar[tuple[tuple[str, str], ...]] = (
        ("Pearson correlation", "eval_pearson"),
        ("Spearman correlation", "eval_spearman"),
        ("mean squared error", "eval_mean_squared_error"),
        ("mean absolute error", "eval_mean_absolute_error"),
        ("... of the mean", "mean_baseline_squared_error"),
    )
    answer_columns: ClassVar[tuple[str, ...]] = ("score",)

    @classmethod
    def from_splits(cls, splits, class_names, options) -> "Regression":
        """See `Task`."""
        del class_names
        targets = np.array(list(map(float, splits["train"]["label"])))
        return cls(
            stride=options.stride,
            window_pooling=options.window_pooling,
            mean=float(targets.mean()),
            deviation=float(targets.std()),
        )

    @property
    def scale(self) -> tuple[float, float]:
        """See `Task`."""
        return self.deviation, self.mean

    def saved_form(self) -> "Regression":
        """Returns the task of weights that answer on the targets' scale."""
        return dataclasses.replace(self, mean=0.0, deviation=1.0)

    def targets(self, examples, encoded) -> np.ndarray:
        """Returns the numbers <float32>[rows, 1]."""
        del encoded
        values = [float(label) for label in examples["label"]]
        return np.array(values, np.float32)[:, np.newaxis]

    def activate(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns the logits."""
        return logits

    def loss(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Returns the squared error, of standardized targets."""
        targets = (labels - self.mean) / self.deviation
        return tf.reduce_mean(tf.math.squared_difference(logits, targets), 1)

    def num_correct(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Returns 0: no number is right."""
        del logits
        return tf.zeros(tf.shape(labels)[:1])

    def fit_linear_probe(self, features, targets, weights, *, strength=None):
        """Returns ridge regression, see `Task`."""
        from bert_tf.tasks import linear_probe

        del strength
        standardized = (targets - self.mean) / self.deviation
        return linear_probe.fit_numbers(features, standardized, weights)

    def metrics(self, examples, encoded, predictions) -> dict:
        """See `regression_metrics`."""
        targets = self.targets(examples, encoded)[:, 0]
        answers = predictions[:, 0] * self.deviation + self.mean
        return metrics_lib.regression_metrics(targets, answers)

    def bootstrap_metrics(
        self, examples, encoded, predictions
    ) -> BootstrapMetrics:
        """See `Task`."""
        targets = self.targets(examples, encoded)[:, 0]
        return metrics_lib.bootstrap_metrics(targets, predictions[:, 0])

    def signatures(self) -> dict[str, Signature]:
        """See `Task`."""
        return {
            "serving_default": (
                "The number for each text, on the scale of the training data.",
                lambda outputs: {"score": outputs["logits"][:, 0]},
            )
        }

    def to_row(self, answer: Mapping[str, np.ndarray], row: int):
        """See `Task`."""
        return [base_lib.number(answer["score"][row])], []

    def max_abs_difference(
        self, expected: Mapping[str, str], answer_row
    ) -> float:
        """Returns the difference of the numbers."""
        return base_lib.largest_difference(
            expected, self.answer_columns, answer_row[0]
        )
