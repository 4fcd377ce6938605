import numpy as np
import pandas as pd
import pytest

from bert_tf.data import examples, splits
from bert_tf.errors import InputError


def frame(rows) -> pd.DataFrame:
    return pd.DataFrame(
        [("f", i + 2, None, text, None, label) for i, (text, label) in
         enumerate(rows)],
        columns=list(examples.FRAME_COLUMNS),
    )  # fmt: skip


def test_equal_texts_never_straddle():
    generator = np.random.default_rng(0)
    rows = [
        (f"Text  {generator.integers(60)}".upper() if i % 3 else
         f"text {generator.integers(60)}", str(i % 3))
        for i in range(400)
    ]  # fmt: skip
    for seed in range(5):
        rest, part = splits.split(frame(rows), fraction=0.2, seed=seed)
        assert len(rest) + len(part) == 400
        keys = set(examples.text_keys(rest)), set(examples.text_keys(part))
        assert not keys[0] & keys[1]


def test_stratified_and_independent_of_row_order():
    rows = [(f"t{i}", "ab"[i % 10 == 0]) for i in range(200)]
    _, part = splits.split(frame(rows), fraction=0.1, seed=1)
    assert part["label"].value_counts().to_dict() == {"a": 18, "b": 2}
    _, other = splits.split(frame(rows[::-1]), fraction=0.1, seed=1)
    assert set(part["text"]) == set(other["text"])


def test_every_class_stays_in_training():
    rows = [(f"t{i}", str(i // 2)) for i in range(40)] + [("alone", "x")]
    rest, part = splits.split(frame(rows), fraction=0.1, seed=1)
    assert set(rest["label"]) == {label for _, label in rows}
    assert len(part) == 20


def test_too_few_rows():
    with pytest.raises(InputError, match="too few"):
        splits.split(frame([("a", "x"), ("b", "y")]), fraction=0.1, seed=1)
