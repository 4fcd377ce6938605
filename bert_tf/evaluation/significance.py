"""Whether one classifier is better than another by more than chance."""

import numpy as np
from scipy import stats


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
