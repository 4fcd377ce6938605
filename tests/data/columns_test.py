import pytest

from bert_tf.config.read_options import ReadOptions
from bert_tf.data import examples
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
        (("tweet_id", "airline_sentiment", "Tweet Text"),
         Columns("Tweet Text", None, "airline_sentiment")),
        (("v1", "v2"), Columns("v2", None, "v1")),
        (("reviewText", "overall", "summary"),
         Columns("reviewText", None, "overall")),
        (("Category", "Message"), Columns("Message", None, "Category")),
        (("comment_text", "target"), Columns("comment_text", None, "target")),
        (("subject", "label"), Columns("subject", None, "label")),
        (("title", "text", "subject", "date"),
         Columns("text", None, "subject")),
    ],
)  # fmt: skip
def test_finds_common_names(columns, expected):
    assert choose_columns(columns, path="f.csv") == expected


def test_named_columns_win():
    chosen = choose_columns(
        ("text", "title", "label"),
        ReadOptions(text_column="title"),
        path="f.csv",
    )
    assert chosen == Columns("title", None, "label")


def test_missing_column_names_the_nearest():
    with pytest.raises(InputError) as error:
        choose_columns(
            ("id", "text", "label"),
            ReadOptions(label_column="lable"),
            path="train.csv",
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
        (("it was good", "b"), "the text or the label.*_names=text,label$"),
        (("1", "x", "a long one"), "_names=label,other2,text$"),
    ],
)
def test_what_cannot_be_found(columns, words):
    with pytest.raises(InputError, match=words):
        choose_columns(columns, path="f.csv")


def test_several_text_columns_are_joined(tmp_path):
    path = tmp_path / "news.csv"
    path.write_text('headline,story,label\nA,"b c",x\n , d,y\n')
    options = ReadOptions(text_column="headline,story")
    frame, columns = examples.read_examples([str(path)], options)
    assert list(frame["text"]) == ["A b c", " d"]
    assert columns.text == "headline,story"
    with pytest.raises(InputError, match='no column "headline,stories"'):
        choose_columns(
            ("headline", "story", "label"),
            ReadOptions(text_column="headline,stories"),
            path="f.csv",
        )


def test_an_unused_column_of_text_is_mentioned(tmp_path, caplog):
    path = tmp_path / "news.csv"
    rows = [f"title {i},a long story of number {i},x,{i}" for i in range(9)]
    path.write_text("headline,story,label,number\n" + "\n".join(rows))
    with caplog.at_level("INFO", logger="absl"):
        examples.read_examples([str(path)])
    assert "not used: 'story' (to join: --text_column=headline,story)" in (
        caplog.text
    )


def test_prediction_needs_no_label():
    assert choose_columns(("text",), path="f", labelled=False).label is None
