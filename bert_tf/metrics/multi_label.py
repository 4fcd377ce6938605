"""Metrics of multi-label classification."""

from collections.abc import Sequence

import numpy as np

from bert_tf.metrics import bootstrap
from bert_tf.metrics.classification import scores_by_class

# A probability of exactly 0 or 1 has no logarithm.
_SMALLEST = 1e-7


def multi_label_metrics(
    targets: np.ndarray,
    probabilities: np.ndarray,
    thresholds: np.ndarray,
    class_names: Sequence[str],
) -> dict:
    """Returns the metrics of `metrics.json`; every number finite or None.

    Args:
        targets: <int>[rows, labels], 1 where a text has the label.
        probabilities: <float>[rows, labels].
        thresholds: <float>[labels], from which on a label is answered.
        class_names: one per label.
    """
    from sklearn import metrics

    y_pred = probabilities >= thresholds
    clipped = np.clip(probabilities.astype(np.float64), _SMALLEST, None)
    clipped = np.minimum(clipped, 1 - _SMALLEST)
    loss = -np.where(targets, np.log(clipped), np.log1p(-clipped)).mean()
    values = {"loss": float(loss)}
    for average in ("micro", "macro"):
        scores = metrics.precision_recall_fscore_support(
            targets, y_pred, average=average, zero_division=0
        )
        names = ("precision", "recall", "f1")
        for name, score in zip(names, scores, strict=False):
            values[f"{name}_{average}"] = float(score)
    values["subset_accuracy"] = float((y_pred == (targets > 0)).all(1).mean())
    halves = metrics.f1_score(
        targets, probabilities >= 0.5, average="micro", zero_division=0
    )
    values["f1_micro_at_0.5"] = float(halves)
    return {
        **{f"eval_{name}": value for name, value in values.items()},
        "labels": list(class_names),
        # The shortest numbers that read back as the same float32.
        "thresholds": [float(str(threshold)) for threshold in thresholds],
        "per_class": scores_by_class(targets, y_pred, class_names),
    }


def bootstrap_metrics(
    targets: np.ndarray, probabilities: np.ndarray, thresholds: np.ndarray
) -> bootstrap.BootstrapMetrics:
    """Returns what measures samples of these rows, see above."""
    y_true = targets.astype(np.float64)
    y_pred = (probabilities >= thresholds).astype(np.float64)
    halves = (probabilities >= 0.5).astype(np.float64)
    all_right = (y_pred == y_true).all(axis=1).astype(np.float64)

    def measure(weights):
        counts = [weights @ part for part in (y_true * y_pred, y_pred, y_true)]
        totals = [part.sum(axis=1) for part in counts]
        precision, recall, f1 = bootstrap.count_scores(*totals)
        at_half = bootstrap.count_scores(
            (weights @ (y_true * halves)).sum(axis=1),
            (weights @ halves).sum(axis=1),
            totals[2],
        )
        return {
            "eval_f1_micro": f1,
            "eval_f1_macro": bootstrap.count_scores(*counts)[2].mean(axis=1),
            "eval_f1_micro_at_0.5": at_half[2],
            "eval_precision_micro": precision,
            "eval_recall_micro": recall,
            "eval_subset_accuracy": bootstrap.mean(weights, all_right),
        }

    return measure


def best_thresholds(
    targets: np.ndarray, probabilities: np.ndarray
) -> np.ndarray:
    """Returns for each label the threshold of the largest F1 <float32>[labels].

    It lies half-way between two probabilities; 0.5 where no text has the
    label.

    Args:
        targets: <int>[rows, labels].
        probabilities: <float>[rows, labels].
    """
    thresholds = np.full(targets.shape[1], 0.5, np.float32)
    for label in range(targets.shape[1]):
        y_true, scores = targets[:, label], probabilities[:, label]
        if not y_true.any():
            continue
        order = np.argsort(-scores, kind="stable")
        num_correct = np.cumsum(y_true[order])
        f1 = 2 * num_correct / (np.arange(1, len(y_true) + 1) + y_true.sum())
        ordered = scores[order].astype(np.float64)
        # Only where the next score is lower is there a threshold between.
        below = np.append(ordered[1:], 0.0)
        best = np.where(ordered > below, f1, -1.0).argmax()
        thresholds[label] = (ordered[best] + below[best]) / 2
    return thresholds
