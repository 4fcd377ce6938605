"""Multi-class classification of texts."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import tensorflow as tf
from absl import logging

from bert_tf import labels as labels_lib
from bert_tf.errors import InputError, list_some
from bert_tf.metrics import classification as metrics_lib
from bert_tf.tasks import base as base_lib
from bert_tf.tasks.base import Signature, Task

# How many classes top_k answers, where there are so many.
_MOST_CLASSES = 5


@dataclasses.dataclass(frozen=True)
class Classification(Task):
    """See `Task`."""

    class_names: tuple[str, ...]
    stride: int | None = None
    window_pooling: str = "mean"
    # Of two, what precision, recall and F1 are about; None in runs and exports
    # of before December 2026, where the names decide.
    positive_class: str | None = None

    name: ClassVar[str] = "classification"
    prediction_key: ClassVar[str] = "probabilities"
    is_multiclass: ClassVar[bool] = True
    answer_columns: ClassVar[tuple[str, ...]] = ("label", "score")

    @property
    def selection_metric(self) -> str:
        """F1 for two classes, accuracy for more."""
        return metrics_lib.headline_metric(self.class_names)

    @property
    def metric_rows(self) -> tuple[tuple[str, str], ...]:
        """See `Task`."""
        f1 = (("F1", "eval_f1"),) if len(self.class_names) == 2 else ()
        return (
            ("accuracy", "eval_accuracy"),
            *f1,
            ("F1, macro", "eval_f1_macro"),
            ("F1, weighted", "eval_f1_weighted"),
            ("Matthews correlation", "eval_matthews_correlation"),
            ("ROC AUC", "eval_roc_auc"),
            ("cross-entropy", "eval_loss"),
        )

    @property
    def detail_columns(self) -> tuple[str, ...]:
        """A probability for each class."""
        return base_lib.probability_columns(self.class_names)

    @classmethod
    def from_splits(cls, splits, class_names, options) -> "Classification":
        """See `Task`.

        Raises:
            InputError: the positive class is none of two.
        """
        positive = options.positive_label
        if positive is not None and (
            len(class_names) != 2 or positive not in class_names
        ):
            raise InputError(
                f"--positive_label={positive} names one of two classes, and "
                f"there are: {list_some(class_names, 20)}"
            )
        if len(class_names) == 2:
            labels = splits["train"]["label"]
            counts = [int((labels == name).sum()) for name in class_names]
            chosen = metrics_lib.positive_class(class_names, counts)
            positive = positive or chosen
            logging.info(
                "Precision, recall and F1 are those of %r (%d of %d training "
                "rows); --positive_label names another class.",
                positive,
                counts[class_names.index(positive)],
                sum(counts),
            )
        return cls(
            class_names, options.stride, options.window_pooling, positive
        )

    @property
    def parameters(self) -> dict:
        """See `Task`."""
        if self.positive_class is None:
            return super().parameters
        return {**super().parameters, "positive_class": self.positive_class}

    def targets(self, examples, encoded) -> np.ndarray:
        """Returns class ids <int32>[rows]."""
        del encoded
        ids = labels_lib.class_ids(examples["label"], self.class_names)
        return np.array(ids, np.int32)

    def weights(self, targets: np.ndarray, class_weight: str) -> np.ndarray:
        """See `example_weights`."""
        return example_weights(targets, class_weight)

    def activate(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns the softmax."""
        return tf.nn.softmax(logits)

    def loss(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Returns the cross-entropy."""
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)

    def num_correct(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Returns 1 where the likeliest class is the right one."""
        predictions = tf.argmax(logits, axis=1, output_type=tf.int32)
        return tf.cast(predictions == labels, tf.float32)

    def fit_linear_probe(self, features, targets, weights, *, strength=None):
        """Returns logistic regression, see `Task`."""
        # Imports scikit-learn, for which those who predict need not wait.
        from bert_tf.tasks import linear_probe

        return linear_probe.fit_classes(
            features,
            targets,
            weights,
            len(self.class_names),
            strength=strength,
        )

    def metrics(self, examples, encoded, predictions) -> dict:
        """See `classification_metrics`."""
        return metrics_lib.classification_metrics(
            self.targets(examples, encoded),
            predictions,
            self.class_names,
            positive=self.positive_class,
        )

    def signatures(self) -> dict[str, Signature]:
        """See `Task`."""
        class_names = tf.constant(list(self.class_names))
        most = min(_MOST_CLASSES, len(self.class_names))

        def answer(outputs):
            probabilities = outputs["probabilities"]
            return {
                "label": tf.gather(
                    class_names, tf.argmax(probabilities, axis=1)
                ),
                "score": tf.reduce_max(probabilities, axis=1),
                "probabilities": probabilities,
            }

        def top_k(outputs):
            scores, ids = tf.math.top_k(outputs["probabilities"], k=most)
            return {"labels": tf.gather(class_names, ids), "scores": scores}

        return {
            "serving_default": (
                "The class of each text, its probability (score), and the "
                "probabilities of all classes in the order of labels.txt.",
                answer,
            ),
            "top_k": (
                "The likeliest classes of each text, the likeliest first.",
                top_k,
            ),
        }

    def to_row(self, answer: Mapping[str, np.ndarray], row: int):
        """See `Task`."""
        return (
            [
                answer["label"][row].decode(),
                base_lib.number(answer["score"][row]),
            ],
            [base_lib.number(p) for p in answer["probabilities"][row]],
        )

    def max_abs_difference(
        self, expected: Mapping[str, str], answer_row
    ) -> float:
        """Returns the largest difference of the score or a probability.

        Of other labels, if larger: how far the probabilities of the two would
        have to move to meet.
        """
        largest = base_lib.largest_difference(
            expected,
            ["score", *self.detail_columns],
            [answer_row[0][1], *answer_row[1]],
        )
        labels = (expected["label"], answer_row[0][0])
        if labels[0] == labels[1]:
            return largest
        if not set(labels) <= set(self.class_names):
            return np.inf
        wanted, answered = (
            np.float32(expected[column])
            for column in base_lib.probability_columns(labels)
        )
        return max(largest, abs(wanted - answered) / 2)


def example_weights(labels: np.ndarray, class_weight: str) -> np.ndarray:
    """Returns how much each example counts <float32>[rows]."""
    if class_weight == "none":
        return np.ones(len(labels), np.float32)
    from sklearn.utils.class_weight import compute_class_weight

    classes = np.unique(labels)
    weights = compute_class_weight(class_weight, classes=classes, y=labels)
    by_class = np.zeros(classes.max() + 1, np.float32)
    by_class[classes] = weights
    return by_class[labels]
