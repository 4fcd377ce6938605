"""An evaluation's metrics, completed: intervals, baselines and thresholds."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bert_tf import labels as labels_lib
from bert_tf.data import examples as examples_lib
from bert_tf.data.pipeline import EncodedTexts
from bert_tf.evaluation import intervals, significance, thresholds
from bert_tf.evaluation.baseline import Baseline
from bert_tf.metrics.classification import (
    classification_metrics,
    positive_class,
)
from bert_tf.tasks.task import Task

_OF_BASELINES = (
    "accuracy", "f1", "f1_macro", "f1_weighted", "matthews_correlation",
    "roc_auc", "loss",
)  # fmt: skip


def with_intervals(
    task: Task,
    metrics: dict,
    examples: pd.DataFrame,
    encoded: EncodedTexts,
    predicted: np.ndarray,
) -> dict:
    """Returns the metrics of a task that is no classification, completed.

    Args:
        task: the model's.
        metrics: what `Task.metrics` returned.
        examples: the labelled rows.
        encoded: their tokens.
        predicted: what it was asked with.

    Returns:
        `metrics` with confidence_level, bootstrap_samples and
        confidence_intervals.
    """
    samples = intervals.resampled_task(task, examples, encoded, predicted)
    return {
        **metrics,
        "confidence_level": intervals.LEVEL,
        "bootstrap_samples": intervals.SAMPLES,
        "confidence_intervals": {
            name: intervals.interval(values) for name, values in samples.items()
        },
    }


def complete_metrics(
    metrics: dict,
    examples: pd.DataFrame,
    probabilities: np.ndarray,
    baseline: Baseline | None,
) -> dict:
    """Returns the metrics and what tells how far to trust them.

    Args:
        metrics: what `classification_metrics` returned.
        examples: the labelled rows.
        probabilities: <float32>[rows, classes], in the order of the rows.
        baseline: the run's, or None where there is none.

    Returns:
        `metrics` with the keys confidence_level, bootstrap_samples,
        confidence_intervals, baselines and, of two classes, positive_class
        and thresholds, as docs/results.md describes them.
    """
    class_names = metrics["labels"]
    labels = np.array(labels_lib.class_ids(examples["label"], class_names))
    found = intervals.confidence_intervals(labels, probabilities, class_names)
    completed = {
        **metrics,
        "confidence_level": intervals.LEVEL,
        "bootstrap_samples": intervals.SAMPLES,
        "confidence_intervals": found,
        "baselines": {"majority": _majority(labels, class_names)},
    }
    if baseline is not None:
        completed["baselines"]["tfidf_logistic_regression"] = _trained(
            baseline, examples, labels, probabilities, class_names
        )
        completed["baseline_train_runtime"] = baseline.train_runtime
    if len(class_names) == 2:
        name = positive_class(class_names)
        positive = class_names.index(name)
        completed["positive_class"] = name
        completed["thresholds"] = thresholds.for_precision(
            labels == positive, probabilities[:, positive]
        )
    return completed


def _majority(labels: np.ndarray, class_names: Sequence[str]) -> dict:
    """Returns what always answering the largest class would reach."""
    largest = int(np.bincount(labels, minlength=len(class_names)).argmax())
    always = np.zeros([len(labels), len(class_names)])
    always[:, largest] = 1.0
    values = classification_metrics(labels, always, class_names)
    return {
        "class": class_names[largest],
        **{name: values[f"eval_{name}"] for name in _OF_BASELINES[:5]},
    }


def _trained(baseline, examples, labels, probabilities, class_names) -> dict:
    answers = baseline.probabilities(examples_lib.segments(examples))
    values = classification_metrics(labels, answers, class_names)
    test = significance.mcnemar(
        probabilities.argmax(axis=1) == labels, answers.argmax(axis=1) == labels
    )
    return {
        **{name: values[f"eval_{name}"] for name in _OF_BASELINES},
        "p_value": test["p_value"],
        "train_samples": baseline.train_samples,
    }
