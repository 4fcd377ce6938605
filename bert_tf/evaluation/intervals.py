"""Confidence intervals, by the bootstrap and Wilson's, and McNemar's test."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from scipy import sparse, stats

from bert_tf.data.input_pipeline import EncodedTexts
from bert_tf.metrics import bootstrap
from bert_tf.metrics.classification import positive_class
from bert_tf.tasks.base import Task

LEVEL = 0.95
SAMPLES = 1000
# Of more than two classes each has a curve of its own to be sorted and summed.
_AUC_SAMPLES_OF_MANY_CLASSES = 200
# Rows times samples held at once: 32 MB each as float64.
_MOST_CELLS = 4_000_000


def interval(values: np.ndarray) -> list[float] | None:
    """Returns the middle LEVEL of the values that are defined."""
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    tail = 100 * (1 - LEVEL) / 2
    return [float(edge) for edge in np.percentile(values, [tail, 100 - tail])]


def of_share(count: int, total: int) -> list[float]:
    """Returns Wilson's interval of a share, such as the accuracy.

    A bootstrap of texts that are all right would have no width.
    """
    found = stats.binomtest(count, total).proportion_ci(LEVEL, method="wilson")
    return [float(found.low), float(found.high)]


def bootstrap_metrics(
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    *,
    positive: str | None = None,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Returns metrics of rows drawn with replacement, by metrics.json's keys.

    With one seed, two models' samples consist of the same rows of one file,
    so that their differences are those of a paired bootstrap.

    Args:
        labels: <int>[rows] class ids.
        probabilities: <float>[rows, classes].
        positive: as of `classification_metrics`.

    Returns:
        <float64>[SAMPLES] by name (fewer of the ROC AUC of many classes), NaN
        where a sample leaves a metric undefined.
    """
    rows, classes = probabilities.shape
    predictions = probabilities.argmax(axis=1)
    chances = probabilities.astype(np.float64)
    chances /= chances.sum(axis=1, keepdims=True)
    eps = np.finfo(np.float64).eps
    losses = -np.log(np.maximum(chances[np.arange(rows), labels], eps))
    indicators = [
        _indicator(labels, classes),
        _indicator(predictions, classes),
        _indicator(labels, classes, kept=labels == predictions),
    ]
    samples: dict[str, list] = {}
    positive_id = None
    if classes == 2:
        positive = positive or positive_class(class_names)
        positive_id = list(class_names).index(positive)
    drawn = 0
    for weights in _weights(rows, seed):
        num_true, num_predicted, num_correct = (
            (m.T @ weights.T).T for m in indicators
        )
        values = _count_metrics(
            num_true, num_predicted, num_correct, positive_id
        )
        values["eval_loss"] = weights @ losses / rows
        if classes == 2 or drawn < _AUC_SAMPLES_OF_MANY_CLASSES:
            some = weights
            if classes > 2:
                some = weights[: _AUC_SAMPLES_OF_MANY_CLASSES - drawn]
            values["eval_roc_auc"] = _roc_auc(labels, chances, some)
        drawn += len(weights)
        for name, value in values.items():
            samples.setdefault(name, []).append(value)
    return {name: np.concatenate(parts) for name, parts in samples.items()}


def resampled_task(
    task: Task,
    examples: pd.DataFrame,
    encoded: EncodedTexts,
    predictions: np.ndarray,
    *,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Does what `bootstrap_metrics` does for the other tasks.

    The arguments are those of `Task.metrics`.
    """
    measure = task.bootstrap_metrics(examples, encoded, predictions)
    parts = [measure(weights) for weights in _weights(len(examples), seed)]
    return {
        name: np.concatenate([part[name] for part in parts])
        for name in parts[0]
    }


def _weights(rows: int, seed: int) -> Iterator[np.ndarray]:
    """Yields how often each row is drawn <float64>[some samples, rows]."""
    generator = np.random.default_rng(seed)
    at_once = max(1, _MOST_CELLS // rows)
    for start in range(0, SAMPLES, at_once):
        count = min(at_once, SAMPLES - start)
        drawn = generator.integers(0, rows, (count, rows))
        drawn += np.arange(count)[:, np.newaxis] * rows
        counts = np.bincount(drawn.ravel(), minlength=count * rows)
        yield counts.reshape(count, rows).astype(np.float64)


def _indicator(ids: np.ndarray, classes: int, kept=None) -> sparse.csr_matrix:
    ones = np.ones(len(ids)) if kept is None else kept.astype(np.float64)
    return sparse.csr_matrix(
        (ones, (np.arange(len(ids)), ids)), (len(ids), classes)
    )


def _count_metrics(
    num_true, num_predicted, num_correct, positive: int | None
) -> dict[str, np.ndarray]:
    """Returns what follows from <float64>[samples, classes] counts."""
    total = num_true.sum(axis=1)
    precision, recall, f1 = bootstrap.count_scores(
        num_correct, num_predicted, num_true
    )
    values = {
        "eval_accuracy": num_correct.sum(axis=1) / total,
        "eval_f1_macro": f1.mean(axis=1),
        "eval_f1_weighted": (f1 * num_true).sum(axis=1) / total,
        "eval_precision_macro": precision.mean(axis=1),
        "eval_recall_macro": recall.mean(axis=1),
    }
    if positive is not None:
        values["eval_precision"] = precision[:, positive]
        values["eval_recall"] = recall[:, positive]
        values["eval_f1"] = f1[:, positive]
    else:
        values["eval_f1"] = values["eval_f1_macro"]
    covariance = num_correct.sum(axis=1) * total - (
        num_predicted * num_true
    ).sum(axis=1)
    spread = (total**2 - (num_predicted**2).sum(axis=1)) * (
        total**2 - (num_true**2).sum(axis=1)
    )
    values["eval_matthews_correlation"] = bootstrap.ratio(
        covariance, np.sqrt(spread)
    )
    return values


def _roc_auc(labels, chances, weights) -> np.ndarray:
    """Returns the one-against-the-rest areas' mean of each sample."""
    classes = [1] if chances.shape[1] == 2 else range(chances.shape[1])
    areas = []
    for number in classes:
        order = np.argsort(chances[:, number], kind="stable")
        scores = chances[order, number]
        starts = np.flatnonzero(np.r_[True, np.diff(scores) > 0])
        ordered = weights[:, order]
        positive = (labels == number)[order]
        ups = np.add.reduceat(ordered * positive, starts, axis=1)
        downs = np.add.reduceat(ordered * ~positive, starts, axis=1)
        below = np.cumsum(downs, axis=1) - downs / 2
        pairs = ups.sum(axis=1) * downs.sum(axis=1)
        areas.append(
            np.divide(
                (ups * below).sum(axis=1),
                pairs,
                out=np.full(len(weights), np.nan),
                where=pairs > 0,
            )
        )
    return np.mean(areas, axis=0)


def mcnemar(right: np.ndarray, other_right: np.ndarray) -> dict:
    """Compares two classifiers on the rows where just one of them is right.

    McNemar's exact test: were they equally good, either would be the one with
    even chances.

    Args:
        right: <bool>[rows], whether the first classifier is right.
        other_right: <bool>[rows], the same of the second.

    Returns:
        only_first, only_second (rows) and p_value: how often chance alone
        makes them differ as much, 1 where they never differ.
    """
    first = int((right & ~other_right).sum())
    second = int((other_right & ~right).sum())
    p_value = 1.0
    if first + second:
        p_value = float(stats.binomtest(first, first + second).pvalue)
    return {"only_first": first, "only_second": second, "p_value": p_value}
