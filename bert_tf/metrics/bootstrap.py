"""Metrics of many bootstrap samples at once.

A sample is how often each row is drawn: weights <float64>[samples, rows].
"""

from collections.abc import Callable

import numpy as np

# From the weights to metrics <float64>[samples] by metrics.json's keys; NaN
# where a sample leaves a metric undefined.
BootstrapMetrics = Callable[[np.ndarray], dict[str, np.ndarray]]


def ratio(
    numerator: np.ndarray, denominator: np.ndarray, *, undefined: float = 0.0
) -> np.ndarray:
    """Divides; 0 over 0 is 0, as scikit-learn's zero_division=0."""
    return np.divide(
        numerator,
        denominator,
        out=np.full(np.shape(numerator), undefined),
        where=denominator > 0,
    )


def count_scores(
    num_correct: np.ndarray, num_predicted: np.ndarray, num_true: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns precision, recall and F1 of counts of any one shape."""
    return (
        ratio(num_correct, num_predicted),
        ratio(num_correct, num_true),
        ratio(2 * num_correct, num_predicted + num_true),
    )


def mean(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns the means <float64>[samples] of values <float>[rows]."""
    return ratio(weights @ values, weights.sum(axis=1), undefined=np.nan)


def ranks(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns ranks <float64>[samples, rows] of values <float>[rows].

    Equal values, copies of a row among them, share the mean of their ranks.
    """
    order = np.argsort(values, kind="stable")
    is_first = np.r_[True, np.diff(values[order]) > 0]
    sizes = np.add.reduceat(weights[:, order], np.flatnonzero(is_first), axis=1)
    middle = np.cumsum(sizes, axis=1) - sizes + (sizes + 1) / 2
    average_ranks = np.empty_like(weights)
    average_ranks[:, order] = middle[:, np.cumsum(is_first) - 1]
    return average_ranks


def correlation(
    weights: np.ndarray, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """Returns Pearson's correlations <float64>[samples].

    Args:
        first: <float>[rows] or [samples, rows].
    """
    total = weights.sum(axis=1, keepdims=True)

    def centred(values):
        return values - (weights * values).sum(axis=1, keepdims=True) / total

    first, second = centred(first), centred(second)
    spread = (weights * first**2).sum(axis=1) * (weights * second**2).sum(
        axis=1
    )
    together = (weights * first * second).sum(axis=1)
    return ratio(together, np.sqrt(spread), undefined=np.nan)
