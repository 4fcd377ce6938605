"""Calibration error, and temperature scaling."""

import numpy as np
import pandas as pd

_BINS = 15
# Wide enough for any network; a bound keeps a part without mistakes, whose
# best temperature is 0, from overflowing.
_TEMPERATURES = (0.05, 20.0)


def reliability(labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Returns how often the likeliest class is right, by its probability.

    Args:
        labels: <int>[rows] class ids.
        probabilities: <float>[rows, classes].

    Returns:
        A row for each of 15 equally wide bins that is not empty: lower,
        upper, count, confidence (mean probability) and accuracy.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0.0, 1.0, _BINS + 1)
    bins = _bins_of(confidence, edges)
    counts = np.bincount(bins, minlength=_BINS)
    filled = counts > 0
    table = pd.DataFrame(
        {
            "lower": edges[:-1],
            "upper": edges[1:],
            "count": counts,
            "confidence": np.bincount(bins, confidence, _BINS),
            "accuracy": np.bincount(bins, right, _BINS),
        }
    )[filled]
    for column in ("confidence", "accuracy"):
        table[column] /= table["count"]
    return table.reset_index(drop=True)


def _bins_of(confidence: np.ndarray, edges: np.ndarray) -> np.ndarray:
    # A bin holds its upper edge, so that 1.0 is in the last one.
    return np.clip(np.digitize(confidence, edges, right=True) - 1, 0, None)


def expected_calibration_error(
    labels: np.ndarray, probabilities: np.ndarray
) -> float:
    """Returns the mean distance of accuracy from confidence, 0 to 1."""
    table = reliability(labels, probabilities)
    gaps = (table["accuracy"] - table["confidence"]).abs()
    return float((gaps * table["count"]).sum() / table["count"].sum())


def error_by_chance(probabilities: np.ndarray, samples: int = 200) -> float:
    """Returns the calibration error that probabilities reach by chance.

    Of 20 models whose scores are just their chances of being right, 19 have no
    larger one on so many rows: few rows never agree with their scores.

    Args:
        probabilities: <float>[rows, classes].
        samples: how often the right answers are drawn.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    generator = np.random.default_rng(0)
    bins = _bins_of(confidence, np.linspace(0.0, 1.0, _BINS + 1))
    gaps = np.zeros([samples, _BINS])
    for one in range(samples):
        is_right = generator.random(len(confidence)) < confidence
        gaps[one] = np.bincount(bins, is_right - confidence, _BINS)
    errors = np.abs(gaps).sum(axis=1) / len(confidence)
    return float(np.percentile(errors, 95))


def fit_temperature(
    labels: np.ndarray,
    probabilities: np.ndarray,
    weights: np.ndarray | None = None,
) -> float:
    """Returns what to divide the logits by for the least cross-entropy.

    Above 1 the model was too sure of itself, below 1 not sure enough.

    Args:
        labels: <int>[rows] class ids.
        probabilities: <float>[rows, classes] of the uncalibrated model.
        weights: how much each row counts <float>[rows]; 1 by default.
    """
    # Here, so that no prediction waits for it.
    from scipy import optimize

    def loss(log_temperature: float) -> float:
        scaled = with_temperature(probabilities, np.exp(log_temperature))
        of_label = scaled[np.arange(len(labels)), labels]
        losses = -np.log(np.maximum(of_label, np.finfo(np.float64).tiny))
        return np.average(losses, weights=weights)

    minimum = optimize.minimize_scalar(
        loss, bounds=np.log(_TEMPERATURES), method="bounded"
    )
    return float(np.exp(minimum.x))


def with_temperature(
    probabilities: np.ndarray, temperature: float
) -> np.ndarray:
    """Returns the probabilities <float64> as if the logits were divided."""
    # Logits are known from a softmax but for a constant, which it ignores.
    logits = np.log(
        np.maximum(probabilities.astype(np.float64), np.finfo(np.float32).tiny)
    )
    logits /= temperature
    logits -= logits.max(axis=1, keepdims=True)
    scaled = np.exp(logits)
    return scaled / scaled.sum(axis=1, keepdims=True)
