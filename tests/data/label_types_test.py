import json

import pandas as pd
import pytest

from bert_tf.config.training import TrainConfig
from bert_tf.data import examples, label_types, splits
from bert_tf.errors import InputError
from tests.conftest import write_csv
from tests.data.splits_test import frame


def test_label_that_training_lacks():
    test = frame([("d", "x"), ("e", "z")])
    with pytest.raises(InputError, match=r'label "z" \(lines 3\)'):
        label_types.of_task("classification").check(test, ("x", "y"))


@pytest.mark.parametrize("name, line", [("t.csv", 5), ("t.conll", 6)])
def test_the_line_of_a_tag(name, line):
    part = pd.DataFrame(
        {"text": ["a b"], "label": ["O B-z"], "path": [name], "line": [5]}
    )
    with pytest.raises(InputError, match=f'{name}, line {line}: the tag "B-z"'):
        label_types.of_task("token").check(part, ("O", "B-x", "I-x"))


@pytest.mark.parametrize(
    "task, labels, counts",
    [
        ("classification", ["10", "9", "10"], {"9": 1, "10": 2}),
        ("regression", ["0.5"], {}),
        ("multi_label", ["b;a", "", "b"], {"a": 1, "b": 2}),
        ("token", ["B-x I-x O", "B-y B-x"], {"x": 2, "y": 1}),
        ("span", ["[]", '[{"text": "a"}]'], {"answer": 1, "no answer": 1}),
    ],
)
def test_counts(task, labels, counts):
    label_type = label_types.of_task(task, separator=";")
    found = label_type.count(pd.Series(labels))
    assert list(found.items()) == list(counts.items())


def write_json_lines(path, rows) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_lists_of_labels_are_lists(tmp_path):
    path = write_json_lines(
        tmp_path / "t.jsonl",
        [
            {"text": "a", "labels": ["sports", "world, politics"]},
            {"text": "b", "labels": "sports"},
            {"text": "c", "labels": []},
        ],
    )
    labels = label_types.of_task("multi_label", separator=";")
    frame, _ = examples.read_examples([path], label_type=labels)
    assert labels.class_names(frame) == ("sports", "world, politics")
    labels.check(frame, ("sports", "world, politics"))
    assert labels.count(frame["label"]) == {"sports": 2, "world, politics": 1}
    with pytest.raises(InputError, match="holds the separator"):
        label_types.of_task("multi_label", separator=",").class_names(frame)


@pytest.mark.parametrize("labels", [{"a": 1}, [["a"]], [None]])
def test_other_values_are_no_labels(tmp_path, labels):
    path = write_json_lines(
        tmp_path / "t.jsonl",
        [{"text": "a", "labels": "x"}, {"text": "b", "labels": labels}],
    )
    of_task = label_types.of_task("multi_label")
    frame, _ = examples.read_examples([path], label_type=of_task)
    with pytest.raises(InputError, match="line 2: the labels .* neither a"):
        of_task.class_names(frame)


def read_splits_of(tmp_path, rows, **settings):
    path = write_csv(tmp_path / "t.csv", rows)
    return splits.read_splits(
        TrainConfig(
            train_file=(path,), validation_file=(path,), output_dir="r",
            **settings,
        )
    )  # fmt: skip


@pytest.mark.parametrize("name", ["nan", "NaN", "null", "None", "NA", "n/a"])
def test_labels_that_are_none(tmp_path, name):
    rows = [("a", "pos"), ("b", "neg "), ("c", name), ("d", "neg")]
    with pytest.raises(
        InputError, match=r"1 of 4 rows .*no label.*\(lines 4\)"
    ):
        read_splits_of(tmp_path, rows)
    rows.insert(3, (" ", "pos"))
    found = read_splits_of(tmp_path, rows, drop_incomplete=True)
    assert found.class_names == ("neg", "pos")
    assert list(found.frames["train"]["line"]) == [2, 3, 6]


def test_labels_that_differ_by_case(tmp_path):
    rows = [
        ("a", "Negative"),
        ("b", "negative "),
        ("c", "pos"),
        ("d", "negative"),
    ]
    with pytest.raises(
        InputError, match=r'"Negative" \(2 rows\) and "negative" \(4 rows\)'
    ):
        read_splits_of(tmp_path, rows)
    found = read_splits_of(tmp_path, rows, merge_label_case=True)
    assert found.class_names == ("negative", "pos")


def test_numbers_have_one_name(tmp_path):
    train = write_csv(tmp_path / "a.csv", [("a", "0"), ("b", "1"), ("c", "1")])
    test = write_csv(tmp_path / "b.csv", [("d", "0.0"), ("e", "1.0")])
    found = splits.read_splits(
        TrainConfig(
            train_file=(train,), validation_file=(test,), output_dir="r"
        )
    )
    assert found.class_names == ("0", "1")
    assert list(found.frames["validation"]["label"]) == ["0", "1"]
    # A model of the one meets a file of the other.
    labels = label_types.of_task("classification")
    assert list(
        examples.read_labelled([test], labels, ("0", "1"))["label"]
    ) == ["0", "1"]
    assert list(
        examples.read_labelled([train], labels, ("0.0", "1.0"))["label"]
    ) == ["0.0", "1.0", "1.0"]
