import pandas as pd
import pytest

from bert_tf.data import label_types
from bert_tf.errors import InputError
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
