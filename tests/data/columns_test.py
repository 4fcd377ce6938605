import pytest

from bert_tf.data.columns import Columns, choose_columns
from bert_tf.errors import InputError


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (("id", "keyword", "text", "label"),
         Columns("text", None, "label", "id")),
        (("source", "label", "sentence"), Columns("sentence", None, "label")),
        (("question", "label", "fine"), Columns("question", None, "label")),
        (("Premise", "Hypothesis", "Label"),
         Columns("Premise", "Hypothesis", "Label")),
        (("v", "class"), Columns("v", None, "class")),
        (("text", "text_pair", "target"),
         Columns("text", "text_pair", "target")),
    ],
)  # fmt: skip
def test_finds_common_names(columns, expected):
    assert choose_columns(columns, path="f.csv") == expected


def test_named_columns_win():
    chosen = choose_columns(
        ("text", "title", "label"), path="f.csv", text_column="title"
    )
    assert chosen == Columns("title", None, "label")


def test_missing_column_names_the_nearest():
    with pytest.raises(InputError) as error:
        choose_columns(
            ("id", "text", "label"), path="train.csv", label_column="lable"
        )
    assert str(error.value) == (
        'train.csv has no column "lable"; it has: id, text, label. '
        "Did you mean --label_column=label?"
    )


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (("text;label",), "separated by semicolons"),
        (("text\tlabel",), "separated by tabs"),
        (("text",), "only one column"),
        (("a", "b", "label"), "usual names for the text"),
        (("text", "b", "c"), "usual names for the label"),
    ],
)
def test_what_cannot_be_found(columns, words):
    with pytest.raises(InputError, match=words):
        choose_columns(columns, path="f.csv")


def test_prediction_needs_no_label():
    assert choose_columns(("text",), path="f", labelled=False).label is None
