"""Linear models on features of a frozen backbone, from which heads start.

As in LP-FT (Kumar et al. 2022, 2202.10054): a head that is right from the first
step spares the backbone the gradients of a random one.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import log_loss
from sklearn.model_selection import ShuffleSplit, StratifiedKFold

# Weights of a layer: <float32>[width, outputs] and [outputs].
Head = tuple[np.ndarray, np.ndarray]

# Inverse strengths for features of size 1, of which there are hundreds.
_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
# A row's, of squared errors. Dropout of a tenth costs as much as the first
# (Wager et al. 2013, 1307.1493).
_PENALTIES = (0.1, 1.0, 10.0, 100.0)
_FOLDS = 5
# From so many rows on, one fifth tells the strength as well as five.
_MANY_ROWS = 2_000
_ITERATIONS = 500


def fit_classes(
    features: np.ndarray,
    ids: np.ndarray,
    weights: np.ndarray,
    num_classes: int,
) -> Head:
    """Returns a softmax layer: logistic regression, its strength by folds.

    Args:
        features: <float>[rows, width].
        ids: <int>[rows], at least two different ones.
        weights: how much each row counts <float>[rows].
        num_classes: the layer's outputs; those without a row are never chosen.
    """
    mean, size = _moments(features)
    scaled = (features - mean) / size
    strength = _best_strength(scaled, ids, weights)
    model = _logistic(scaled, ids, weights, strength)
    kernel, bias = model.coef_.T, model.intercept_
    if len(model.classes_) == 2:
        # A sigmoid's logit is the difference of two of a softmax.
        kernel = np.concatenate([-kernel, kernel], axis=1) / 2
        bias = np.concatenate([-bias, bias]) / 2
    all_kernel = np.zeros([features.shape[1], num_classes])
    # As rare as one row among all.
    all_bias = np.full([num_classes], bias.min() - np.log(len(ids)))
    all_kernel[:, model.classes_] = kernel
    all_bias[model.classes_] = bias
    return _unscaled(all_kernel, all_bias, mean, size)


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
    model = RidgeCV(len(features) * np.array(_PENALTIES)).fit(
        (features - mean) / size, targets, sample_weight=weights
    )
    kernel = model.coef_.reshape([-1, features.shape[1]]).T
    return _unscaled(kernel, np.reshape(model.intercept_, [-1]), mean, size)


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and root mean square of each feature.

    Divided by deviations, features that hardly vary, as those of a pooler near
    1, would have large weights, and dropout would throw the logits about.
    """
    features = features.astype(np.float64)
    size = np.sqrt(np.mean(features**2, axis=0))
    return features.mean(axis=0), size + 1e-3 * size.mean() + 1e-12


def _unscaled(kernel, bias, mean, size) -> Head:
    kernel = kernel / size[:, np.newaxis]
    bias = bias - mean @ kernel
    return kernel.astype(np.float32), bias.astype(np.float32)


def _logistic(features, ids, weights, strength: float) -> LogisticRegression:
    model = LogisticRegression(C=strength, max_iter=_ITERATIONS)
    return model.fit(features, ids, sample_weight=weights)


def _best_strength(features, ids: np.ndarray, weights) -> float:
    """Returns the one of the least cross-entropy on rows held out."""
    counts = np.unique(ids, return_counts=True)[1]
    if len(ids) >= _MANY_ROWS:
        folds = ShuffleSplit(1, test_size=1 / _FOLDS, random_state=0)
    elif counts.min() >= 2:
        folds = StratifiedKFold(
            min(_FOLDS, int(counts.min())), shuffle=True, random_state=0
        )
    else:
        folds = ShuffleSplit(_FOLDS, test_size=1 / _FOLDS, random_state=0)
    losses = {strength: [] for strength in _STRENGTHS}
    for fitted, held_out in folds.split(features, ids):
        if len(set(ids[fitted])) < 2:
            continue
        for strength in _STRENGTHS:
            model = _logistic(
                features[fitted], ids[fitted], weights[fitted], strength
            )
            known = np.isin(ids[held_out], model.classes_)
            if not known.any():
                continue
            rows = held_out[known]
            losses[strength].append(
                log_loss(
                    ids[rows],
                    model.predict_proba(features[rows]),
                    labels=model.classes_,
                )
            )
    return min(_STRENGTHS, key=lambda strength: np.mean(losses[strength] or 0))
