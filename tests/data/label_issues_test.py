"""Labels that may be wrong, near duplicates and outliers."""

import numpy as np
import pandas as pd
import pytest

from bert_tf.data import label_issues
from bert_tf.errors import InputError

CLASSES = ["a", "b", "c", "never"]


def noisy(rows: int, seed: int = 0):
    """Rows of three of four classes, a twentieth of the labels wrong."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 3, rows)
    logits = generator.normal(size=[rows, 4])
    logits[np.arange(rows), truth] += 3
    logits[:, 3] -= 3
    probabilities = np.exp(logits)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    is_wrong = generator.random(rows) < 0.05
    labels = np.where(is_wrong, (truth + 1) % 3, truth)
    return labels, probabilities, is_wrong


def examples(labels, texts=None) -> pd.DataFrame:
    count = len(labels)
    return pd.DataFrame(
        {
            "path": "train.csv",
            "line": np.arange(2, count + 2),
            "id": [f"id-{number}" for number in range(count)],
            "text": texts or [f"text {number}" for number in range(count)],
            "text_pair": None,
            "label": [CLASSES[label] for label in labels],
        }
    )


def vectors_of(rows: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=[rows, 16]).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_as_cleanlab_does():
    cleanlab = pytest.importorskip("cleanlab.filter")
    labels, probabilities, is_wrong = noisy(2_000)
    rows = label_issues.wrong_labels(labels, probabilities)
    expected = cleanlab.find_label_issues(
        labels,
        probabilities[:, :3] / probabilities[:, :3].sum(axis=1, keepdims=True),
        return_indices_ranked_by="self_confidence",
    )
    np.testing.assert_array_equal(rows, expected)
    assert is_wrong[rows].mean() > 0.7
    assert is_wrong[rows].sum() > 0.7 * is_wrong.sum()
    # The surest first.
    assert is_wrong[rows[: len(rows) // 2]].mean() > is_wrong[rows].mean()


def test_what_is_written():
    pytest.importorskip("cleanlab")
    labels, probabilities, _ = noisy(300)
    texts = [f"text {number}" for number in range(300)]
    texts[8] = texts[7].upper()
    vectors = vectors_of(300)
    # A row nearly that of another, one equal to another, one far from all.
    vectors[5], vectors[8] = vectors[4] + 1e-3, vectors[7]
    center = np.zeros(16, np.float32)
    center[0] = 1
    vectors[:] += center
    vectors[9] = -center
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = examples(labels, texts)
    found = label_issues.find(rows, CLASSES, probabilities, vectors)
    assert list(found.columns) == list(label_issues.COLUMNS)
    kinds = dict(list(found.groupby("issue", sort=False)))
    assert list(kinds) == ["label", "near duplicate", "outlier"]
    wrong = kinds["label"]
    assert (wrong["label"] != wrong["suggested_label"]).all()
    assert "never" not in set(wrong["suggested_label"])
    near = kinds["near duplicate"].set_index("id")
    assert set(near.index) == {"id-4", "id-5"}
    assert near.loc["id-4", "nearest_id"] == "id-5"
    assert near.loc["id-4", "nearest_label"] == CLASSES[labels[5]]
    assert kinds["outlier"]["id"].iloc[0] == "id-9"
    for kind, name in (("outlier", "nearest_id"), ("label", "nearest_label"),
                       ("near duplicate", "suggested_label")):  # fmt: skip
        assert set(kinds[kind][name]) == {None}


def test_left_out_of_a_training(tmp_path):
    labels = [0, 1] * 50
    train = examples(labels)
    train.index += 10
    issues = pd.DataFrame(
        [
            # The worst first; the third is of a label that was mended since.
            ("label", "TEXT  30", "a"), ("label", "text 7", "b"),
            ("label", "text 9", "a"), ("label", "text 20", "a"),
            ("outlier", "text 40", "a"), ("label", "text 2", "a"),
        ],
        columns=["issue", "text", "label"],
    ).reindex(columns=label_issues.COLUMNS, fill_value="")  # fmt: skip
    path = str(tmp_path / "label_issues.csv")
    issues.to_csv(path, index=False)
    for share, gone in (
        (0.0, []), (0.02, [30, 7]), (0.039, [30, 7, 20]), (0.5, [30, 7, 20, 2]),
    ):  # fmt: skip
        left = label_issues.drop(train, path, share)
        assert set(train["text"]) - set(left["text"]) == {
            f"text {number}" for number in gone
        }
        assert left.index.is_monotonic_increasing
    issues.drop(columns="issue").to_csv(path, index=False)
    with pytest.raises(InputError, match="has no column issue"):
        label_issues.drop(train, path, 0.1)
