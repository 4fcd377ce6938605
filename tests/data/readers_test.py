import io
import pickle
import sys

import pytest

from bert_tf.data import examples
from bert_tf.data.readers import registry
from bert_tf.data.readers.table import Table
from bert_tf.errors import InputError


def read(tmp_path, content: bytes, name="file.csv", **kwargs):
    path = tmp_path / name
    path.write_bytes(content)
    table = registry.open_table(str(path), **kwargs)
    return table.columns, [
        (row.line, *row.fields.values()) for row in table.rows
    ]


def test_csv_with_bom_quoted_line_break_and_windows_line_ends(tmp_path):
    content = b'\xef\xbb\xbftext,label\r\n"a ""b""\r\nc, d",x\r\n\r\ne,y\r\n'
    columns, rows = read(tmp_path, content)
    assert columns == ("text", "label")
    assert rows == [(2, 'a "b"\r\nc, d', "x"), (5, "e", "y")]


def test_tsv_without_quoting_keeps_quotes(tmp_path):
    content = b'text\tlabel\n"Hi" he said\t1\n"open\t0\n'
    _, rows = read(tmp_path, content, "file.tsv")
    assert rows == [(2, '"Hi" he said', "1"), (3, '"open', "0")]


def test_tsv_of_a_spreadsheet_is_unquoted(tmp_path):
    content = b'text\tlabel\n"a ""b""\nc"\t1\nd\t0\n'
    _, rows = read(tmp_path, content, "file.tsv")
    assert rows == [(2, 'a "b"\nc', "1"), (4, "d", "0")]


def test_json_lines(tmp_path):
    content = (
        b'{"text": "a\\nb", "label": 1}\n\n{"text": null, "label": true}\n'
    )
    columns, rows = read(tmp_path, content, "file.jsonl")
    assert columns == ("text", "label")
    assert rows == [(1, "a\nb", "1"), (3, "", "true")]


def test_standard_input_is_a_text_a_line(monkeypatch):
    stdin = io.TextIOWrapper(io.BytesIO("héllo\nb,c\n".encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    table = registry.open_table("-")
    assert [row.fields["text"] for row in table.rows] == ["héllo", "b,c"]


def test_globs_and_several_files(tmp_path):
    for name in ("b.csv", "a.csv", "c.txt"):
        (tmp_path / name).write_text("text\nx\n")
    paths = registry.expand_paths([f"{tmp_path}/*.csv", f"{tmp_path}/a.csv"])
    assert paths == (f"{tmp_path}/a.csv", f"{tmp_path}/b.csv")


def test_a_file_larger_than_one_field_limit(tmp_path):
    text = "x" * 1_000_000
    _, rows = read(tmp_path, f"text,label\n{text},a\n".encode())
    assert rows == [(2, text, "a")]


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"", "f.csv", "is empty"),
        (b"\n", "f.csv", "is empty"),
        (b"a,a\n1,2\n", "f.csv", 'two columns named "a"'),
        (b"a,b\n1\n", "f.csv", r"line 2: 1 fields where the header has 2"),
        (b'a,b\n1,2\n"x,3\ny,4\n', "f.csv", "record from line 3"),
        (b"a,b\n1,\xe9\n", "f.csv", r"line 2: byte 3 \(0xe9\) is not UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "f.csv", "UTF-16"),
        (b'{"a": 1}\n{"a": \n', "f.jsonl", "line 2, column 6: not JSON"),
        (b'{"a": 1}\n[1]\n', "f.jsonl", "line 2: every line must be"),
        (b'{"a": "x"}\n{"a": "\\ud83d"}\n', "f.jsonl", 'line 2: "a" holds'),
        (b"a,b\n", "f.xlsx", "cannot tell the format"),
    ],
)
def test_faults_name_file_and_line(tmp_path, content, name, words):
    with pytest.raises(InputError, match=words) as error:
        read(tmp_path, content, name)
    assert name in str(error.value)


def test_missing_file():
    with pytest.raises(InputError, match="no such file"):
        registry.expand_paths(["nowhere.csv"])


def test_gfile_paths(tmp_path):
    import tensorflow as tf

    path = "ram://reading_test/file.csv"
    with tf.io.gfile.GFile(path, "w") as file:
        file.write("text,label\na,b\n")
    table = registry.open_table(*registry.expand_paths([path]))
    assert [row.fields for row in table.rows] == [{"text": "a", "label": "b"}]


def test_a_format_is_added_where_the_docs_say(tmp_path, monkeypatch):
    """A binary format from outside: one function and one line."""

    def read_pickled(path, name):
        with open(path, "rb") as file:
            records = pickle.load(file)
        return Table.from_records(enumerate(records, 1), name)

    monkeypatch.setitem(
        registry.FORMATS,
        "pickled",
        registry.Format(read_pickled, (".pickled",), is_binary=True),
    )
    rows = [{"text": "good", "label": "pos"}, {"text": "bad", "label": "neg"}]
    path = tmp_path / "rows.pickled"
    path.write_bytes(pickle.dumps(rows))
    frame, columns = examples.read_examples([str(path)])
    assert list(frame["label"]) == ["pos", "neg"]
    assert list(frame["line"]) == [1, 2]
    assert columns.text == "text"
    with pytest.raises(InputError, match=r"known are .*\.pickled"):
        registry.format_of("rows.unknown")
