"""The metrics of a regression."""

import numpy as np
from scipy import stats

from bert_tf.metrics import resampling


def regression_metrics(targets: np.ndarray, predicted: np.ndarray) -> dict:
    """Returns the metrics of `metrics.json`; every number finite or None.

    Pearson's and Spearman's correlation as the STS benchmarks report them;
    None where either side is constant.

    Args:
        targets: <float>[rows].
        predicted: <float>[rows].
    """
    targets = np.asarray(targets, np.float64)
    predicted = np.asarray(predicted, np.float64)
    errors = predicted - targets
    squared = float(np.mean(errors**2))
    varies = np.ptp(targets) > 0 and np.ptp(predicted) > 0
    return {
        "eval_loss": squared,
        "eval_mean_squared_error": squared,
        "eval_mean_absolute_error": float(np.mean(np.abs(errors))),
        "eval_pearson": float(stats.pearsonr(targets, predicted).statistic)
        if varies
        else None,
        "eval_spearman": float(stats.spearmanr(targets, predicted).statistic)
        if varies
        else None,
        "mean_baseline_squared_error": float(np.var(targets)),
    }


def resampled(targets: np.ndarray, predicted: np.ndarray) -> resampling.Measure:
    """Returns what measures samples of these rows."""
    targets = np.asarray(targets, np.float64)
    predicted = np.asarray(predicted, np.float64)
    errors = predicted - targets

    def measure(weights):
        spearman = resampling.correlation(
            weights,
            resampling.ranks(weights, targets),
            resampling.ranks(weights, predicted),
        )
        pearson = resampling.correlation(weights, targets, predicted)
        squared = resampling.mean(weights, errors**2)
        return {
            # Ranks are exact: they tell for sure which samples are constant.
            "eval_pearson": np.where(np.isnan(spearman), np.nan, pearson),
            "eval_spearman": spearman,
            "eval_mean_squared_error": squared,
            "eval_mean_absolute_error": resampling.mean(
                weights, np.abs(errors)
            ),
        }

    return measure
