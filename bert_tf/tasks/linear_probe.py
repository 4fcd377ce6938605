"""Linear models on features of a frozen backbone, from which heads start.

As in LP-FT (Kumar et al. 2022, 2202.10054): a head that is right from the first
step spares the backbone the gradients of a random one.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import ShuffleSplit, StratifiedKFold
from threadpoolctl import threadpool_limits

from bert_tf.metrics import calibration

# Weights of a layer: <float32>[width, outputs] and [outputs].
Head = tuple[np.ndarray, np.ndarray]

# Inverse strengths for features of length 1.
_STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0)
# A row's, of squared errors, for features of size 1. Dropout of a tenth costs
# as much as the first (Wager et al. 2013, 1307.1493).
_PENALTIES = (0.1, 1.0, 10.0, 100.0)
_FOLDS = 5
# From so many rows on, one fifth tells the strength as well as five.
_MANY_ROWS = 2_000
_ITERATIONS = 500
_SHARES_OF_CURVE = (1 / 4, 1 / 2, 1.0)
_STRENGTH_OF_CURVE = 10.0
# A fifth of fewer tells no accuracies apart.
_FEWEST_OF_CURVE = 100
# Surer answers would take large weights, which dropout turns into noise.
_TEMPERATURES = (1 / 3, 3.0)
# The probability of a class that a fold has no row of.
_UNSEEN = 1e-6
# Thousands of products of small matrices: threads wait for one another longer
# than they count (a sixth of the time without, on two cores).
_one_thread = threadpool_limits.wrap(limits=1, user_api="blas")


@_one_thread
def fit_classes(
    features: np.ndarray,
    ids: np.ndarray,
    weights: np.ndarray,
    num_classes: int,
    *,
    strength: float | None = None,
) -> Head:
    """Returns a softmax layer: logistic regression.

    Args:
        features: <float>[rows, width].
        ids: <int>[rows], at least two different ones.
        weights: how much each row counts <float>[rows].
        num_classes: the layer's outputs; those without a row are never chosen.
        strength: inverse, for features of length 1; by default chosen by
            folds, and the logits are divided by a temperature for these.
    """
    mean, size = _moments(features)
    scaled = (features - mean) / size
    temperature = 1.0
    if strength is None:
        strength, temperature = _by_folds(scaled, ids, weights)
    model = _logistic(scaled, ids, weights, strength)
    kernel, bias = model.coef_.T, model.intercept_
    if len(model.classes_) == 2:
        # A sigmoid's logit is the difference of two of a softmax.
        kernel = np.concatenate([-kernel, kernel], axis=1) / 2
        bias = np.concatenate([-bias, bias]) / 2
    all_kernel = np.zeros([features.shape[1], num_classes])
    # As rare as one row among all.
    all_bias = np.full([num_classes], bias.min() - np.log(len(ids)))
    all_kernel[:, model.classes_] = kernel / temperature
    all_bias[model.classes_] = bias / temperature
    return _unscaled(all_kernel, all_bias, mean, size)


@_one_thread
def learning_curve(features: np.ndarray, ids: np.ndarray) -> dict[int, float]:
    """Returns how often logistic regressions of fewer rows are right.

    On a fifth of the rows, five times, of a quarter, a half and all of the
    others: what twice the labels may bring.

    Args:
        features: <float>[rows, width].
        ids: <int>[rows].

    Returns:
        From numbers of rows to accuracies; empty where there are too few.
    """
    if len(ids) < _FEWEST_OF_CURVE:
        return {}
    mean, size = _moments(features)
    scaled = (features - mean) / size
    found = {}
    for fitted, held_out in _fifths(len(ids)).split(scaled):
        for share in _SHARES_OF_CURVE:
            part = fitted[: round(share * len(fitted))]
            if len(set(ids[part])) > 1:
                model = _logistic(
                    scaled[part], ids[part], None, _STRENGTH_OF_CURVE
                )
                accuracy = model.score(scaled[held_out], ids[held_out])
                found.setdefault(len(part), []).append(accuracy)
    return {rows: float(np.mean(one)) for rows, one in found.items()}


def fit_labels(
    features: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> Head:
    """Returns a sigmoid layer: a logistic regression for each label.

    Args:
        features: <float>[rows, width].
        targets: 0 or 1 <int>[rows, labels].
        weights: how much each row counts <float>[rows].
    """
    columns = []
    for column in targets.T:
        if len(set(column)) == 2:
            kernel, bias = fit_classes(features, column, weights, 2)
            columns.append((kernel[:, 1] - kernel[:, 0], bias[1] - bias[0]))
            continue
        # All rows have it, or none.
        odds = np.log((column.sum() + 0.5) / (len(column) - column.sum() + 0.5))
        columns.append((np.zeros(features.shape[1]), odds))
    kernels, biases = zip(*columns, strict=True)
    return (
        np.stack(kernels, axis=1).astype(np.float32),
        np.array(biases, np.float32),
    )


def fit_numbers(
    features: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> Head:
    """Returns a layer: ridge regression, its strength left one out.

    Args:
        features: <float>[rows, width].
        targets: <float>[rows, outputs].
        weights: how much each row counts <float>[rows].
    """
    mean, size = _moments(features)
    rows, width = features.shape
    model = RidgeCV(rows / width * np.array(_PENALTIES)).fit(
        (features - mean) / size, targets, sample_weight=weights
    )
    kernel = model.coef_.reshape([-1, width]).T
    return _unscaled(kernel, np.reshape(model.intercept_, [-1]), mean, size)


def _moments(features: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns the mean row, and the root mean square of the rows' lengths.

    One length for all features: were each divided by its own deviation, those
    that hardly vary, as a pooler's near 1, would have large weights, and
    dropout would throw the logits about.
    """
    features = features.astype(np.float64)
    squares = (features**2).sum(axis=1)
    return features.mean(axis=0), float(np.sqrt(squares.mean())) + 1e-12


def _unscaled(kernel, bias, mean, size) -> Head:
    kernel = kernel / size
    bias = bias - mean @ kernel
    return kernel.astype(np.float32), bias.astype(np.float32)


def _logistic(features, ids, weights, strength: float) -> LogisticRegression:
    model = LogisticRegression(C=strength, max_iter=_ITERATIONS)
    return model.fit(features, ids, sample_weight=weights)


def _fifths(rows: int) -> ShuffleSplit:
    """Returns what holds a random fifth out, five times, once of many rows."""
    times = 1 if rows >= _MANY_ROWS else _FOLDS
    return ShuffleSplit(times, test_size=1 / _FOLDS, random_state=0)


def _by_folds(features, ids: np.ndarray, weights) -> tuple[float, float]:
    """Returns the strength, and the temperature, of the least cross-entropy.

    On rows held out. Strength alone would also decide how sure the answers
    are, for which few rows take the weights larger than is good for them.
    """
    counts = np.unique(ids, return_counts=True)[1]
    if len(ids) >= _MANY_ROWS or counts.min() < 2:
        folds = _fifths(len(ids))
    else:
        folds = StratifiedKFold(
            min(_FOLDS, int(counts.min())), shuffle=True, random_state=0
        )
    splits = [
        (fitted, held_out)
        for fitted, held_out in folds.split(features, ids)
        if len(set(ids[fitted])) > 1
    ]
    if not splits:
        return _STRENGTHS[0], 1.0
    rows = np.concatenate([held_out for _, held_out in splits])
    labels = ids[rows]
    found = []
    for strength in _STRENGTHS:
        parts = []
        for fitted, held_out in splits:
            model = _logistic(
                features[fitted], ids[fitted], weights[fitted], strength
            )
            part = np.full([len(held_out), ids.max() + 1], _UNSEEN)
            part[:, model.classes_] = model.predict_proba(features[held_out])
            parts.append(part)
        probabilities = np.concatenate(parts)
        temperature = calibration.fit_temperature(
            labels, probabilities, weights[rows]
        )
        temperature = float(np.clip(temperature, *_TEMPERATURES))
        scaled = calibration.with_temperature(probabilities, temperature)
        of_label = scaled[np.arange(len(labels)), labels]
        losses = -np.log(np.maximum(of_label, _UNSEEN))
        loss = np.average(losses, weights=weights[rows])
        found.append((loss, strength, temperature))
    _, strength, temperature = min(found)
    return strength, temperature
