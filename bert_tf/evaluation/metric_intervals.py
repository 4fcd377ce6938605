"""Adds intervals, baselines and thresholds to the metrics."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn import metrics

from bert_tf import labels as labels_lib
from bert_tf.data import examples as examples_lib
from bert_tf.data.input_pipeline import EncodedTexts
from bert_tf.evaluation import intervals
from bert_tf.evaluation.baseline import Baseline
from bert_tf.metrics import calibration
from bert_tf.metrics.classification import (
    classification_metrics,
    positive_class,
)
from bert_tf.tasks.base import Task

_OF_BASELINES = (
    "accuracy", "f1", "f1_macro", "f1_weighted", "matthews_correlation",
    "roc_auc", "loss",
)  # fmt: skip


def complete_metrics(
    task: Task,
    metrics: dict,
    examples: pd.DataFrame,
    encoded: EncodedTexts,
    predictions: np.ndarray,
    baseline: Baseline | None,
    probe: np.ndarray | None = None,
) -> dict:
    """Returns the metrics and what tells how far to trust them.

    Args:
        task: whose `Task.metrics` were called with what follows.
        baseline: of a classification, the run's; None if there is none.
        probe: what the run's linear probe predicts, as `predictions`; None if
            there is none.

    Returns:
        `metrics` with the keys confidence_level, bootstrap_samples,
        confidence_intervals, of classes baselines and, of two, positive_class
        and thresholds, as docs/results.md describes them.
    """
    if task.is_multiclass:
        class_names = metrics["labels"]
        labels = np.array(labels_lib.class_ids(examples["label"], class_names))
        positive = task.positive_class
        samples = intervals.bootstrap_metrics(
            labels, predictions, class_names, positive=positive
        )
    else:
        samples = intervals.resampled_task(task, examples, encoded, predictions)
    completed = {
        **metrics,
        "confidence_level": intervals.LEVEL,
        "bootstrap_samples": intervals.SAMPLES,
        "confidence_intervals": {
            name: intervals.interval(values) for name, values in samples.items()
        },
    }
    if not task.is_multiclass:
        return completed
    num_right = int((predictions.argmax(axis=1) == labels).sum())
    completed["confidence_intervals"]["eval_accuracy"] = intervals.of_share(
        num_right, len(labels)
    )
    completed["baselines"] = {
        "majority": _majority(labels, class_names, positive)
    }
    if baseline is not None:
        completed["baselines"]["tfidf_logistic_regression"] = {
            **_compared(
                baseline.probabilities(examples_lib.segments(examples)),
                labels,
                predictions,
                class_names,
                positive,
            ),
            "train_samples": baseline.train_samples,
        }
        completed["baseline_train_runtime"] = baseline.train_runtime
    if probe is not None:
        completed["baselines"]["linear_probe"] = _compared(
            probe, labels, predictions, class_names, positive
        )
    completed["mean_score"] = float(predictions.max(axis=1).mean())
    completed["expected_calibration_error_by_chance"] = (
        calibration.error_by_chance(predictions)
    )
    if len(class_names) == 2:
        name = positive or positive_class(class_names)
        number = class_names.index(name)
        completed["positive_class"] = name
        completed["thresholds"] = for_precision(
            labels == number, predictions[:, number]
        )
    return completed


def _majority(
    labels: np.ndarray, class_names: Sequence[str], positive: str | None
) -> dict:
    """Returns what always answering the largest class would reach."""
    largest = int(np.bincount(labels, minlength=len(class_names)).argmax())
    always = np.zeros([len(labels), len(class_names)])
    always[:, largest] = 1.0
    values = classification_metrics(
        labels, always, class_names, positive=positive
    )
    return {
        "class": class_names[largest],
        **{name: values[f"eval_{name}"] for name in _OF_BASELINES[:5]},
    }


def _compared(
    answers: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    positive: str | None,
) -> dict:
    """Returns the metrics of a simpler model's answers, and the test."""
    values = classification_metrics(
        labels, answers, class_names, positive=positive
    )
    test = intervals.mcnemar(
        probabilities.argmax(axis=1) == labels, answers.argmax(axis=1) == labels
    )
    return {
        **{name: values[f"eval_{name}"] for name in _OF_BASELINES},
        "p_value": test["p_value"],
    }


_STEPS = np.round(np.arange(0.05, 0.96, 0.05), 2)
_WANTED_PRECISIONS = (0.8, 0.9, 0.95, 0.99)


def threshold_table(
    is_positive: np.ndarray, scores: np.ndarray
) -> pd.DataFrame:
    """Returns threshold, precision, recall and f1 at steps of 0.05.

    Args:
        is_positive: <bool>[rows].
        scores: <float>[rows], probabilities of the positive class; a row is
            answered so if its score is at least the threshold.

    Returns:
        One row a step; precision is NaN where nothing is answered so.
    """
    rows = []
    for threshold in _STEPS:
        answered = scores >= threshold
        num_correct = int((answered & is_positive).sum())
        count, positives = int(answered.sum()), int(is_positive.sum())
        rows.append(
            {
                "threshold": float(threshold),
                "precision": num_correct / count if count else np.nan,
                "recall": num_correct / positives if positives else np.nan,
                "f1": 2 * num_correct / (count + positives)
                if count + positives
                else np.nan,
                "answered": count,
            }
        )
    return pd.DataFrame(rows)


def for_precision(
    is_positive: np.ndarray,
    scores: np.ndarray,
    wanted: tuple[float, ...] = _WANTED_PRECISIONS,
) -> list[dict]:
    """Returns the threshold of most recall for each wanted precision.

    Returns:
        wanted_precision, threshold, precision and recall, the last three None
        where no threshold reaches the precision.
    """
    precision, recall, thresholds = operating_points(is_positive, scores)
    rows = []
    for goal in wanted:
        row = dict.fromkeys(("threshold", "precision", "recall"))
        reached = np.flatnonzero(precision >= goal)
        if len(reached):
            best = reached[np.argmax(recall[reached])]
            row = {
                "threshold": float(thresholds[best]),
                "precision": float(precision[best]),
                "recall": float(recall[best]),
            }
        rows.append({"wanted_precision": goal, **row})
    return rows


def operating_points(
    is_positive: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns precision, recall and the threshold of each distinct score.

    Empty where no row is positive: there is no recall then.
    """
    if not is_positive.any():
        return np.zeros(0), np.zeros(0), np.zeros(0)
    precision, recall, thresholds = metrics.precision_recall_curve(
        is_positive, scores
    )
    # The last point of the curve stands for no answer at all.
    return precision[:-1], recall[:-1], thresholds
