import pytest

from bert_tf import labels
from bert_tf.errors import InputError


def test_order_does_not_depend_on_rows():
    assert labels.class_names(["b", "a", "b"]) == ("a", "b")
    assert labels.class_names(["10", "9", "-1"]) == ("-1", "9", "10")
    assert labels.class_names(["10", "9", "x"]) == ("10", "9", "x")


def test_file_round_trip(tmp_path):
    names = ("a b", "ü\u2028", " c")
    labels.write_labels(str(tmp_path / "labels.txt"), names)
    assert labels.read_labels(str(tmp_path / "labels.txt")) == names


@pytest.mark.parametrize(
    ("names", "rows", "words"),
    [
        (("a",), 5, "at least two classes"),
        (("a", "b", "c"), 3, "a label of its own"),
        (("a", "b\nc"), 5, "line break"),
        (("a", "b\n"), 5, "line break"),
    ],
)
def test_no_classification_problem(names, rows, words):
    with pytest.raises(InputError, match=words):
        labels.check_class_names(names, rows)
