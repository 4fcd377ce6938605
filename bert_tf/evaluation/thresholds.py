"""From which probability on to answer the positive class of two."""

import numpy as np
import pandas as pd
from sklearn import metrics

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
        hits = int((answered & is_positive).sum())
        count, positives = int(answered.sum()), int(is_positive.sum())
        rows.append(
            {
                "threshold": float(threshold),
                "precision": hits / count if count else np.nan,
                "recall": hits / positives if positives else np.nan,
                "f1": 2 * hits / (count + positives)
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
    found = []
    for goal in wanted:
        reached = np.flatnonzero(precision >= goal)
        if len(reached):
            best = reached[np.argmax(recall[reached])]
            values = (thresholds[best], precision[best], recall[best])
        else:
            values = (None, None, None)
        found.append(
            {
                "wanted_precision": goal,
                **{
                    name: None if value is None else float(value)
                    for name, value in zip(
                        ("threshold", "precision", "recall"),
                        values,
                        strict=True,
                    )
                },
            }
        )
    return found


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
