"""A baseline of word counts: TF-IDF and logistic regression."""

import time
import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

# They keep the training to seconds, and the file to some megabytes.
_MOST_ROWS = 20_000
_MOST_TERMS = 20_000
_MOST_ITERATIONS = 300
# Less regularization than scikit-learn's default of 1, which is too strong
# for rows of length 1.
_C = 10.0


class Baseline:
    """A trained TF-IDF + logistic regression classifier.

    Attributes:
        train_samples: rows it was trained on.
        train_runtime: seconds that took.
    """

    def __init__(self, arrays: dict[str, np.ndarray]):
        """Takes what `arrays` returned, or `write` wrote."""
        self._arrays = arrays
        self.train_samples = int(arrays["train_samples"])
        self.train_runtime = float(arrays["train_runtime"])
        self._vectorizer = _vectorizer(
            vocabulary={term: i for i, term in enumerate(arrays["terms"])}
        )
        self._vectorizer.idf_ = arrays["idf"]

    def probabilities(self, segments: tuple[Sequence[str], ...]) -> np.ndarray:
        """Returns <float64>[rows, classes], in the order of the texts."""
        values = self._arrays
        features = self._vectorizer.transform(_joined(segments))
        logits = features @ values["coefficients"].T + values["intercepts"]
        logits -= logits.max(axis=1, keepdims=True)
        result = np.exp(logits)
        return result / result.sum(axis=1, keepdims=True)

    def write(self, path: str) -> None:
        """Writes numbers and words only, so that reading runs no code."""
        np.savez_compressed(path, **self._arrays)


def read(path: str) -> Baseline:
    """Reads what `Baseline.write` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return Baseline(dict(arrays))


# Threads would wait for one another longer than they count.
@threadpool_limits.wrap(limits=1, user_api="blas")
def train(
    segments: tuple[Sequence[str], ...],
    labels: np.ndarray,
    *,
    num_classes: int,
    seed: int,
) -> Baseline | None:
    """Trains on the texts, or on a random 20,000 of them, in seconds.

    Args:
        segments: the texts, or both texts of each pair.
        labels: <int>[rows] class ids.

    Returns:
        The classifier; None where the texts hold no word, such as texts of
        punctuation only, or the sample only one class.
    """
    start = time.monotonic()
    texts = _joined(segments)
    rows = np.arange(len(texts))
    if len(rows) > _MOST_ROWS:
        generator = np.random.default_rng(seed)
        rows = np.sort(generator.choice(rows, _MOST_ROWS, replace=False))
    labels = labels[rows]
    vectorizer = _vectorizer(max_features=_MOST_TERMS)
    try:
        features = vectorizer.fit_transform([texts[row] for row in rows])
    except ValueError as error:
        if "empty vocabulary" in str(error):
            return None
        raise
    classes = np.unique(labels)
    if len(classes) < 2:
        return None
    regression = LogisticRegression(C=_C, max_iter=_MOST_ITERATIONS)
    with warnings.catch_warnings():
        # A baseline that is not quite at its optimum is one all the same.
        warnings.simplefilter("ignore", ConvergenceWarning)
        regression.fit(features, labels)
    coefficients = np.zeros([num_classes, features.shape[1]], np.float32)
    # Never answered: a class that the sample lacks.
    intercepts = np.full(num_classes, -np.inf)
    if len(classes) == 2:
        coefficients[classes[1]] = regression.coef_[0]
        intercepts[classes] = 0.0, regression.intercept_[0]
    else:
        coefficients[classes] = regression.coef_
        intercepts[classes] = regression.intercept_
    return Baseline(
        {
            "terms": vectorizer.get_feature_names_out().astype(str),
            "idf": vectorizer.idf_,
            "coefficients": coefficients,
            "intercepts": intercepts,
            "train_samples": np.array(len(rows)),
            "train_runtime": np.array(time.monotonic() - start),
        }
    )


def _vectorizer(**settings) -> TfidfVectorizer:
    # \w+ keeps words of one letter, and languages written without spaces are
    # at least split at their punctuation.
    return TfidfVectorizer(
        sublinear_tf=True,
        ngram_range=(1, 2),
        token_pattern=r"(?u)\b\w+\b",
        **settings,
    )


def _joined(segments: tuple[Sequence[str], ...]) -> list[str]:
    return [" ".join(texts) for texts in zip(*segments, strict=True)]
