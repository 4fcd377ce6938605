import numpy as np
import pandas as pd
import pytest

from bert_tf.config.training import TrainConfig
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
    # One of each would be half of them: a fifth is the most.
    assert len(part) == 8
    assert part["label"].is_unique


def test_too_few_rows():
    with pytest.raises(InputError, match="too few"):
        splits.split(frame([("a", "x"), ("b", "y")]), fraction=0.1, seed=1)


@pytest.mark.parametrize("task", ["classification", "span"])
def test_pairs_with_a_text_in_common_stay_together(tmp_path, task):
    """Hypotheses of one premise, and questions on one context."""
    rows = [
        (f"t{i}", f"c{i // 5}", "[]" if task == "span" else "ab"[i % 2])
        for i in range(100)
    ]
    if task == "classification":
        rows = [(shared, own, label) for own, shared, label in rows]
    columns = ("question", "context", "answers")
    if task == "classification":
        columns = ("premise", "hypothesis", "label")
    lines = [",".join(row) for row in (columns, *rows)]
    path = tmp_path / "pairs.csv"
    path.write_text("\n".join(lines) + "\n")
    found = splits.read_splits(
        TrainConfig(train_file=(str(path),), output_dir="r", task=task)
    )
    shared = "text" if task == "classification" else "text_pair"
    sides = [set(frame_[shared]) for frame_ in found.frames.values()]
    assert not sides[0] & sides[1]
    assert len(found.frames["validation"]) == 10


@pytest.mark.parametrize("phrases", [("is it so?",), ("good?", "bad?")])
def test_a_phrase_is_no_group(tmp_path, phrases):
    rows = [
        (phrases[i % len(phrases)], f"text {i}", "ab"[i % 2]) for i in range(40)
    ]
    lines = ["text_a,text_b,label", *(",".join(row) for row in rows)]
    path = tmp_path / "pairs.csv"
    path.write_text("\n".join(lines) + "\n")
    found = splits.read_splits(
        TrainConfig(train_file=(str(path),), output_dir="r")
    )
    assert len(found.frames["validation"]) == 4


def test_files_beyond_memory_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a b.csv"
    path.write_text("text,label\ngood,pos\nbad,neg\n" * 2)
    config = TrainConfig(train_file=(str(path),), output_dir="unused")
    size = path.stat().st_size
    assert splits.free_memory() > size
    monkeypatch.setattr(splits, "free_memory", lambda: 2 * size - 1)
    with pytest.raises(
        InputError, match=r"create_tfrecords --input_file='\S+ b.csv'"
    ):
        splits.read_splits(config)
    # What was read already is in memory.
    for free in (2 * size, None):
        monkeypatch.setattr(splits, "free_memory", lambda free=free: free)
        splits.read_files(config)
