"""Multi-class classification metrics, computed with scikit-learn.

It is imported where it is used: those who predict need not wait for it.
"""

from collections.abc import Sequence

import numpy as np

from bert_tf.metrics import calibration

_POSITIVE_NAMES = frozenset(("1", "yes", "true", "positive", "pos"))


def classification_metrics(
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    *,
    positive: str | None = None,
) -> dict:
    """Returns the metrics of `metrics.json`; every number finite or None.

    Args:
        labels: <int>[rows] class ids.
        probabilities: <float>[rows, classes].
        class_names: one per class.
        positive: the positive one of two; by default `positive_class`.
    """
    from sklearn import metrics

    predictions = probabilities.argmax(axis=1)
    # A float32 softmax adds up to 1 only within float32's precision.
    probabilities = probabilities.astype(np.float64)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    ids = np.arange(len(class_names))
    values = {
        "loss": metrics.log_loss(labels, probabilities, labels=ids),
        "accuracy": metrics.accuracy_score(labels, predictions),
    }
    for average in ("macro", "weighted"):
        values.update(_precision_recall_f1(labels, predictions, ids, average))
    if len(class_names) == 2:
        positive = class_names.index(positive or positive_class(class_names))
        binary = metrics.precision_recall_fscore_support(
            labels == positive,
            predictions == positive,
            average="binary",
            zero_division=0,
        )
        values.update(zip(("precision", "recall", "f1"), binary, strict=False))
    else:
        values["f1"] = values["f1_macro"]
    # 0 by convention where there is only one class, and a warning of sklearn's.
    values["matthews_correlation"] = (
        metrics.matthews_corrcoef(labels, predictions)
        if len(np.union1d(labels, predictions)) > 1
        else 0.0
    )
    values["roc_auc"] = _roc_auc(labels, probabilities)
    values["expected_calibration_error"] = (
        calibration.expected_calibration_error(labels, probabilities)
    )
    counts = np.bincount(labels, minlength=len(ids))
    result = {f"eval_{key}": _finite(value) for key, value in values.items()}
    result["eval_predicted_classes"] = len(np.unique(predictions))
    result["labels"] = list(class_names)
    result["per_class"] = scores_by_class(labels, predictions, class_names)
    result["confusion_matrix"] = metrics.confusion_matrix(
        labels, predictions, labels=ids
    ).tolist()
    result["majority_baseline_accuracy"] = float(counts.max() / counts.sum())
    return result


def scores_by_class(
    y_true: np.ndarray, y_pred: np.ndarray, class_names: Sequence[str]
) -> dict[str, dict]:
    """Returns precision, recall, f1 and support of each class.

    Args:
        y_true: <int>[rows] class ids, or <int>[rows, classes], 1 where a row
            has the class.
        y_pred: what was predicted, likewise.
    """
    from sklearn import metrics

    scores = metrics.precision_recall_fscore_support(
        y_true, y_pred, labels=np.arange(len(class_names)), zero_division=0
    )
    kinds = (("precision", float), ("recall", float), ("f1", float),
             ("support", int))  # fmt: skip
    return {
        name: {
            kind: of_kind(values[i])
            for (kind, of_kind), values in zip(kinds, scores, strict=True)
        }
        for i, name in enumerate(class_names)
    }


def positive_class(
    class_names: Sequence[str], counts: Sequence[int] = (0, 0)
) -> str:
    """Returns the class of two that precision, recall and F1 are about.

    The one that says so by its name, or whose negation the other is:
    `not_disaster`, `non-spam`, `unrelated`; else the rarer one, and of equally
    rare ones the second.

    Args:
        class_names: two.
        counts: rows of each in the training split.
    """
    named = [name for name in class_names if name.lower() in _POSITIVE_NAMES]
    if len(named) == 1:
        return named[0]
    first, second = class_names
    for name, other in ((first, second), (second, first)):
        for prefix in ("not_", "not ", "not-", "non_", "non-", "no_", "un"):
            if name.lower() == prefix + other.lower():
                return other
    return first if counts[0] < counts[1] else second


def headline_metric(class_names: Sequence[str]) -> str:
    """Returns the metric that chooses the best epoch unless one is named."""
    return "f1" if len(class_names) == 2 else "accuracy"


def _precision_recall_f1(labels, predictions, ids, average: str) -> dict:
    from sklearn import metrics

    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        labels, predictions, labels=ids, average=average, zero_division=0
    )
    return {
        f"precision_{average}": precision,
        f"recall_{average}": recall,
        f"f1_{average}": f1,
    }


def _roc_auc(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Returns the area under the ROC curve; one against the rest, macro.

    None where a class is missing from the labels: it is not defined then.
    """
    from sklearn import metrics

    if len(np.unique(labels)) < probabilities.shape[1]:
        return None
    if probabilities.shape[1] == 2:
        return metrics.roc_auc_score(labels, probabilities[:, 1])
    aucs = [
        metrics.roc_auc_score(labels == i, probabilities[:, i])
        for i in range(probabilities.shape[1])
    ]
    return float(np.mean(aucs))


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None
