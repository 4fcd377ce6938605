"""Multi-label classification of texts."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import tensorflow as tf

from bert_tf.labels import split
from bert_tf.metrics import multi_label as metrics_lib
from bert_tf.metrics.bootstrap import BootstrapMetrics
from bert_tf.tasks import base as base_lib
from bert_tf.tasks.base import Signature, Task


@dataclasses.dataclass(frozen=True)
class MultiLabel(Task):
    """See `Task`.

    Attributes:
        class_names: the labels.
        separator: stands between the labels of a text.
        thresholds: from which probability on each label is answered; 0.5 for
            all until they are fitted.
    """

    class_names: tuple[str, ...]
    separator: str = ","
    thresholds: tuple[float, ...] = ()
    stride: int | None = None
    window_pooling: str = "mean"

    name: ClassVar[str] = "multi_label"
    prediction_key: ClassVar[str] = "probabilities"
    has_thresholds: ClassVar[bool] = True
    selection_metric: ClassVar[str] = "f1_micro"
    metric_rows: ClassVar[tuple[tuple[str, str], ...]] = (
        ("F1, micro", "eval_f1_micro"),
        ("F1, macro", "eval_f1_macro"),
        ("F1, micro, above 0.5", "eval_f1_micro_at_0.5"),
        ("precision, micro", "eval_precision_micro"),
        ("recall, micro", "eval_recall_micro"),
        ("all labels right", "eval_subset_accuracy"),
        ("binary cross-entropy", "eval_loss"),
    )
    answer_columns: ClassVar[tuple[str, ...]] = ("label",)

    @property
    def parameters(self) -> dict:
        """See `Task`."""
        return {
            "separator": self.separator,
            "thresholds": list(self.thresholds),
            **super().parameters,
        }

    @property
    def detail_columns(self) -> tuple[str, ...]:
        """A probability for each label."""
        return base_lib.probability_columns(self.class_names)

    @classmethod
    def from_splits(cls, splits, class_names, options) -> "MultiLabel":
        """See `Task`."""
        del splits
        return cls(
            class_names,
            options.label_separator,
            stride=options.stride,
            window_pooling=options.window_pooling,
        )

    def targets(self, examples, encoded) -> np.ndarray:
        """Returns 1 for each label of a text <int32>[rows, labels]."""
        del encoded
        ids = {name: i for i, name in enumerate(self.class_names)}
        targets = np.zeros([len(examples), len(ids)], np.int32)
        for row, labels in enumerate(examples["label"]):
            for label in split(labels, self.separator):
                targets[row, ids[label]] = 1
        return targets

    def activate(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns the sigmoid."""
        return tf.sigmoid(logits)

    def loss(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Returns the binary cross-entropy, the mean over the labels."""
        losses = tf.nn.sigmoid_cross_entropy_with_logits(
            tf.cast(labels, logits.dtype), logits
        )
        return tf.reduce_mean(losses, axis=1)

    def num_correct(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Returns the share of labels that are rightly there or not."""
        right = (logits >= 0) == (labels > 0)
        return tf.reduce_mean(tf.cast(right, tf.float32), axis=1)

    def fit_linear_probe(self, features, targets, weights, *, strength=None):
        """Returns a logistic regression for each label, see `Task`."""
        from bert_tf.tasks import linear_probe

        del strength
        return linear_probe.fit_labels(features, targets, weights)

    def metrics(self, examples, encoded, predictions) -> dict:
        """See `multi_label_metrics`."""
        return metrics_lib.multi_label_metrics(
            self.targets(examples, encoded),
            predictions,
            self._limits(),
            self.class_names,
        )

    def bootstrap_metrics(
        self, examples, encoded, predictions
    ) -> BootstrapMetrics:
        """See `Task`."""
        targets = self.targets(examples, encoded)
        return metrics_lib.bootstrap_metrics(
            targets, predictions, self._limits()
        )

    def fit_thresholds(self, examples, encoded, predictions) -> "MultiLabel":
        """Returns the task with the thresholds of the largest F1."""
        thresholds = metrics_lib.best_thresholds(
            self.targets(examples, encoded), predictions
        )
        # As decimals that read back as the same float32.
        thresholds = tuple(float(str(value)) for value in thresholds)
        return dataclasses.replace(self, thresholds=thresholds)

    def signatures(self) -> dict[str, Signature]:
        """See `Task`."""
        class_names = tf.constant(list(self.class_names))
        limits = tf.constant(self._limits())

        def answer(outputs):
            probabilities = outputs["probabilities"]
            is_found = probabilities >= limits
            # Those that are answered first, the likeliest first.
            order = tf.argsort(
                tf.where(is_found, probabilities, probabilities - 2.0),
                direction="DESCENDING",
                stable=True,
                axis=1,
            )
            count = tf.reduce_sum(tf.cast(is_found, tf.int32), axis=1)
            is_shown = tf.sequence_mask(count, len(self.class_names))
            scores = tf.gather(probabilities, order, batch_dims=1)
            return {
                "labels": tf.where(is_shown, tf.gather(class_names, order), ""),
                "scores": tf.where(is_shown, scores, 0.0),
                "count": count,
                "probabilities": probabilities,
            }

        return {
            "serving_default": (
                "The labels of each text whose probability reaches their "
                "threshold, the likeliest first, padded with empty ones; how "
                "many (count), their probabilities (scores), and the "
                "probabilities of all labels in the order of labels.txt.",
                answer,
            )
        }

    def to_row(self, answer: Mapping[str, np.ndarray], row: int):
        """See `Task`."""
        labels = answer["labels"][row][: answer["count"][row]]
        return (
            [self.separator.join(label.decode() for label in labels)],
            [base_lib.number(p) for p in answer["probabilities"][row]],
        )

    def max_abs_difference(
        self, expected: Mapping[str, str], answer_row
    ) -> float:
        """Returns the largest difference of a probability.

        Of a label that only one of the answers has, if larger: how far its
        probability is from its threshold.
        """
        largest = base_lib.largest_difference(
            expected, self.detail_columns, answer_row[1]
        )
        labels = [
            set(split(text, self.separator))
            for text in (expected["label"], answer_row[0][0])
        ]
        if not labels[0] | labels[1] <= set(self.class_names):
            return np.inf
        distances = [
            abs(np.float32(expected[column]) - limit)
            for name, column, limit in zip(
                self.class_names,
                self.detail_columns,
                self._limits(),
                strict=True,
            )
            if name in labels[0] ^ labels[1]
        ]
        return max([largest, *distances])

    def _limits(self) -> np.ndarray:
        limits = self.thresholds or [0.5] * len(self.class_names)
        return np.array(limits, np.float32)
