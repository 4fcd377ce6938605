"""Metrics of regression."""

import numpy as np

from bert_tf.metrics import bootstrap


def regression_metrics(targets: np.ndarray, predictions: np.ndarray) -> dict:
    """Returns the metrics of `metrics.json`; every number finite or None.

    Pearson's and Spearman's correlation as the STS benchmarks report them;
    None where either side is constant.

    Args:
        targets: <float>[rows].
        predictions: <float>[rows].
    """
    # Here, since it takes half a second, for which no prediction need wait.
    from scipy import stats

    targets = np.asarray(targets, np.float64)
    predictions = np.asarray(predictions, np.float64)
    errors = predictions - targets
    squared = float(np.mean(errors**2))
    varies = np.ptp(targets) > 0 and np.ptp(predictions) > 0
    return {
        "eval_loss": squared,
        "eval_mean_squared_error": squared,
        "eval_mean_absolute_error": float(np.mean(np.abs(errors))),
        "eval_pearson": float(stats.pearsonr(targets, predictions).statistic)
        if varies
        else None,
        "eval_spearman": float(stats.spearmanr(targets, predictions).statistic)
        if varies
        else None,
        "mean_baseline_squared_error": float(np.var(targets)),
    }


def bootstrap_metrics(
    targets: np.ndarray, predictions: np.ndarray
) -> bootstrap.BootstrapMetrics:
    """Returns what measures samples of these rows."""
    targets = np.asarray(targets, np.float64)
    predictions = np.asarray(predictions, np.float64)
    errors = predictions - targets

    def measure(weights):
        spearman = bootstrap.correlation(
            weights,
            bootstrap.ranks(weights, targets),
            bootstrap.ranks(weights, predictions),
        )
        pearson = bootstrap.correlation(weights, targets, predictions)
        squared = bootstrap.mean(weights, errors**2)
        return {
            # Ranks are exact: they tell for sure which samples are constant.
            "eval_pearson": np.where(np.isnan(spearman), np.nan, pearson),
            "eval_spearman": spearman,
            "eval_mean_squared_error": squared,
            "eval_mean_absolute_error": bootstrap.mean(weights, np.abs(errors)),
        }

    return measure
