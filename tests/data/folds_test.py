import dataclasses

import numpy as np
import pandas as pd
import pytest

from bert_tf.data import examples, folds
from bert_tf.errors import InputError
from tests.conftest import write_csv


@pytest.fixture(scope="module")
def many_rows(tmp_path_factory):
    """5,000 rows of five classes, 40% of them copies, some in capitals."""
    generator = np.random.default_rng(0)
    texts = [f"text {number} of many" for number in range(3_000)]
    texts += [texts[i] for i in generator.integers(0, 3_000, 2_000)]
    texts = [
        text.upper() if is_capital else text
        for text, is_capital in zip(
            texts, generator.random(len(texts)) < 0.2, strict=True
        )
    ]
    # A rare class of 13 texts.
    classes = generator.choice(5, len(texts), p=[0.5, 0.3, 0.1, 0.09, 0.01])
    rows = list(zip(texts, [f"class {one}" for one in classes], strict=True))
    return write_csv(tmp_path_factory.mktemp("rows") / "train.csv", rows)


def test_every_row_once_and_no_text_on_both_sides(many_rows, tiny_config):
    config = tiny_config(train_file=(many_rows,))
    found = folds.read_folds(config, 5)
    assert len(found.rows) == 5_000 and len(found.splits) == 5
    lines = [list(one.frames["test"]["line"]) for one in found.splits]
    assert sorted(sum(lines, [])) == list(found.rows["line"])
    keys = examples.text_keys(found.rows)
    shares = found.rows["label"].value_counts(normalize=True)
    for fold, one in enumerate(found.splits):
        parts = [
            set(keys[frame.index])
            for frame in (one.frames[name] for name in
                          ("train", "validation", "test"))
        ]  # fmt: skip
        assert sum(map(len, parts)) == keys.nunique()
        assert len(set.union(*parts)) == keys.nunique()
        held_out = one.frames["test"]
        assert list(held_out.index) == list(
            np.flatnonzero(found.fold_of_row == fold)
        )
        assert 950 <= len(held_out) <= 1_050
        np.testing.assert_allclose(
            held_out["label"].value_counts(normalize=True)[shares.index],
            shares,
            atol=0.01,
        )
    again = folds.read_folds(config, 5)
    np.testing.assert_array_equal(again.fold_of_row, found.fold_of_row)
    other = folds.read_folds(dataclasses.replace(config, seed=7), 5)
    assert (other.fold_of_row != found.fold_of_row).mean() > 0.5
    all_rows = found.all_rows().frames
    assert set(all_rows) == {"train", "validation"}
    assert sum(map(len, all_rows.values())) == 5_000


def test_a_class_of_one_text(tiny_config, tmp_path):
    """It is a class of every fold, though one of them cannot learn it."""
    rows = [(f"good {i}", "good") for i in range(20)]
    rows += [(f"bad {i}", "bad") for i in range(20)] + [("rare", "rare")]
    path = write_csv(tmp_path / "rare.csv", rows)
    found = folds.read_folds(tiny_config(train_file=(path,)), 4)
    assert {one.class_names for one in found.splits} == {
        ("bad", "good", "rare")
    }


def test_labels_that_are_all_different():
    keys = pd.Series([f"text {number}" for number in range(10)])
    fold_of_row = folds.split_rows(strata=keys, keys=keys, num_folds=5, seed=1)
    assert np.bincount(fold_of_row).tolist() == [2] * 5


@pytest.mark.parametrize(
    ("changes", "num_folds", "message"),
    [
        ({}, 30, "--num_folds=30: there are 20 different texts"),
        ({"max_eval_samples": 5}, 2, "--max_train_samples takes fewer"),
    ],
)
def test_what_cannot_be_folded(
    changes, num_folds, message, tiny_config, tmp_path
):
    rows = [(f"text {i // 2}", "ab"[i // 2 % 2]) for i in range(40)]
    path = write_csv(tmp_path / "few.csv", rows)
    with pytest.raises(InputError, match=message):
        folds.read_folds(tiny_config(train_file=(path,), **changes), num_folds)
