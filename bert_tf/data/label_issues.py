"""Finds rows whose labels may be wrong, near duplicates and outliers.

Labels by confident learning (Northcutt et al. 2021, 1911.00068), with cleanlab
(the extra `cleanlab`), from probabilities of models that have not seen the row.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from absl import logging

from bert_tf.data.examples import text_keys
from bert_tf.errors import InputError

FILE = "label_issues.csv"
# The column that tells them apart, and its values.
LABEL, DUPLICATE, OUTLIER = "label", "near duplicate", "outlier"
TITLES = {
    LABEL: "Labels that may be wrong",
    DUPLICATE: "Texts that nearly equal another",
    OUTLIER: "Texts unlike all others",
}
COLUMNS = (
    "issue", "id", "path", "line", "text", "text_pair", "label",
    "suggested_label", "score", "nearest_id", "nearest_label",
)  # fmt: skip
_NEIGHBOURS = 10
# Cosine of two texts that say the same: they differ in a word of ten.
_NEAR = 0.95
# Tukey's fence, in interquartile ranges from the upper quartile.
_FENCE = 1.5


def find(
    examples: pd.DataFrame,
    class_names: Sequence[str],
    probabilities: np.ndarray,
    vectors: np.ndarray,
) -> pd.DataFrame:
    """Returns issues with the columns of COLUMNS, by kind, the worst first.

    Args:
        examples: labelled rows, all with an id.
        probabilities: of models that have not seen the row
            <float>[rows, classes].
        vectors: <float32>[rows, width], normalized.
    """
    ids = pd.Index(class_names).get_indexer(examples["label"])
    best = probabilities.argmax(axis=1)
    wrong = examples.assign(
        issue=LABEL,
        suggested_label=np.array(class_names, object)[best],
        score=probabilities.max(axis=1),
    ).iloc[wrong_labels(ids, probabilities)]

    distances, nearest = neighbours(vectors)
    keys, cosines = text_keys(examples).to_numpy(), 1 - distances[:, 0]
    near = examples.assign(
        issue=DUPLICATE,
        score=cosines,
        nearest_id=examples["id"].to_numpy()[nearest],
        nearest_label=examples["label"].to_numpy()[nearest],
    )
    # Equal texts are counted in the data report, with their labels.
    near = near[(cosines >= _NEAR) & (keys != keys[nearest])]
    mean = distances.mean(axis=1)
    far = examples.assign(issue=OUTLIER, score=mean)[is_outlier(mean)]
    by_score = {"by": "score", "ascending": False, "kind": "stable"}
    issues = pd.concat(
        [wrong, near.sort_values(**by_score), far.sort_values(**by_score)],
        ignore_index=True,
    )[list(COLUMNS)]
    # What a kind does not have.
    for name in ("suggested_label", "nearest_id", "nearest_label"):
        values = issues[name].astype(object)
        issues[name] = values.where(values.notna(), None)
    return issues


def count(issues: pd.DataFrame) -> dict[str, int]:
    """Returns how many there are of each kind, of all kinds."""
    return {kind: int((issues["issue"] == kind).sum()) for kind in TITLES}


def wrong_labels(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Returns the rows whose labels may be wrong, the likeliest first.

    As `cleanlab.filter.find_label_issues` does, ranked by the probability of
    the label.

    Args:
        labels: class ids <int>[rows].
        probabilities: <float>[rows, classes].
    """
    from cleanlab.filter import find_label_issues

    # It counts each class, and takes ids without a gap.
    classes = np.unique(labels)
    probabilities = np.asarray(probabilities, np.float64)[:, classes]
    total = probabilities.sum(axis=1, keepdims=True)
    return find_label_issues(
        np.searchsorted(classes, labels),
        probabilities / np.maximum(total, np.finfo(float).tiny),
        return_indices_ranked_by="self_confidence",
        n_jobs=1,
    )


def neighbours(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns cosine distances to the nearest rows, and the nearest one.

    Args:
        vectors: <float32>[rows, width], normalized, at least two.

    Returns:
        <float>[rows, up to 10], ascending, and <int>[rows].
    """
    count = min(_NEIGHBOURS, len(vectors) - 1)
    # A training reads its files before it needs this.
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=count, metric="cosine")
    # Of themselves, without themselves.
    distances, rows = index.fit(vectors).kneighbors()
    return distances, rows[:, 0]


def is_outlier(mean: np.ndarray) -> np.ndarray:
    """Returns which rows are far from all others <bool>[rows].

    Args:
        mean: distance to the nearest ones <float>[rows] (Kuan and Mueller
            2022, 2207.03061); beyond Tukey's fence is far.
    """
    lower, upper = np.quantile(mean, [0.25, 0.75])
    return mean > upper + _FENCE * (upper - lower)


def drop(train: pd.DataFrame, path: str, share: float) -> pd.DataFrame:
    """Leaves out the rows whose labels a file takes for wrong.

    Rows are found by text and label, so that their file may have changed.

    Args:
        train: labelled rows.
        path: a label_issues.csv.
        share: of the rows, at most; the likeliest go first.

    Raises:
        InputError: it is another file.
    """
    issues = pd.read_csv(path, dtype=str, keep_default_na=False)
    missing = set(COLUMNS) - set(issues.columns)
    if missing:
        raise InputError(
            f"--label_issues_file={path} has no column "
            f"{', '.join(sorted(missing))}: pipelines.label_issues writes one"
        )
    issues = issues[issues["issue"] == LABEL]
    rank = {pair: number for number, pair in enumerate(_pairs(issues))}
    ranks = np.array([rank.get(one, len(rank)) for one in _pairs(train)])
    worst = np.argsort(ranks, kind="stable")[: int(share * len(train))]
    worst = worst[ranks[worst] < len(rank)]
    logging.warning(
        "%d of %d training rows are left out, as --drop_label_issues says; "
        "%d have labels that may be wrong.",
        len(worst),
        len(train),
        (ranks < len(rank)).sum(),
    )
    return train.drop(index=train.index[worst])


def _pairs(rows: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(text_keys(rows), rows["label"], strict=True))
