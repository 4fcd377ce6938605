"""Suggests texts to label next: those that a model is least sure of.

The smallest margins between the two likeliest classes (Scheffer et al. 2001),
and of ten times as many as are wanted one of each cluster of their vectors, so
that no two ask the same (Zhdanov 2019, 1901.05954).
"""

import warnings
from collections.abc import Callable

import numpy as np

_CANDIDATES = 10


def margins(probabilities: np.ndarray) -> np.ndarray:
    """Returns by how much the likeliest class leads <float>[rows].

    Args:
        probabilities: <float>[rows, classes].
    """
    second, first = np.sort(probabilities, axis=1)[:, -2:].T
    return first - second


def choose(
    probabilities: np.ndarray,
    embed: Callable[[np.ndarray], np.ndarray],
    count: int,
    *,
    seed: int = 0,
) -> np.ndarray:
    """Returns the rows to label, the least sure first <int>[count or less].

    Args:
        probabilities: of texts without labels <float>[rows, classes].
        embed: from row numbers to vectors <float>[these rows, width].
        count: how many, where there are so many.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    margin = margins(probabilities)
    order = np.argsort(margin, kind="stable")
    if count >= len(order):
        return order
    candidates = order[: _CANDIDATES * count]
    vectors = embed(candidates)
    with warnings.catch_warnings():
        # Of fewer different vectors than clusters, which is no harm here.
        warnings.simplefilter("ignore", ConvergenceWarning)
        clusters = KMeans(count, n_init=1, random_state=seed).fit(vectors)
    centres = clusters.transform(vectors).argmin(axis=0)
    # Two clusters may have one row; the next least sure fills up.
    chosen = np.unique(candidates[centres])
    rest = candidates[~np.isin(candidates, chosen)]
    chosen = np.concatenate([chosen, rest[: count - len(chosen)]])
    return chosen[np.argsort(margin[chosen], kind="stable")]
