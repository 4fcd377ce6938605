import bz2
import csv
import gzip
import io
import json
import lzma
import pickle
import sys
import zipfile

import pandas as pd
import pytest

from bert_tf import files
from bert_tf.config.read_options import ReadOptions
from bert_tf.data import examples
from bert_tf.data.readers import delimited, registry
from bert_tf.data.readers.table import Table
from bert_tf.errors import InputError, InstallationError


def read(tmp_path, content: bytes, name="file.csv", **kwargs):
    path = tmp_path / name
    path.write_bytes(content)
    table = registry.open_table(str(path), ReadOptions(**kwargs))
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
        (b"a,b\n1,\xe9\n", "f.csv", "pass .* --encoding=cp1252"),
        ("a,b\n1,2\n".encode("utf-16-le"), "f.csv", "--encoding=utf-16-le"),
        ("a,b\n1,2\n".encode("utf-16")[:-1], "f.csv", "is not UTF-16"),
        (b'a,b\n"x \\"y\\" z",1\n', "f.csv", r"--escapechar='\\'"),
        (b"a,b\n1,2\n", "f.csv.gz", "cannot be decompressed"),
        (
            gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:-9],
            "f.csv.gz",
            "is cut off",
        ),
        (b"a,b\n1,2\n", "f.csv.zip", "cannot be decompressed"),
        (b"a,b\n1,2\n", "f.parquet", "cannot be read as Parquet"),
        (b"a,b\n1,2\n", "f.xlsx", "cannot be read as an Excel workbook"),
        (b'{"a": {"0": 1}}', "f.json", "one JSON value, not rows"),
        (b'{"a": 1}\n{"a": \n', "f.jsonl", "line 2, column 6: not JSON"),
        (b'{"a": 1}\n[1]\n', "f.jsonl", "line 2: every line must be"),
        (b'{"a": "x"}\n{"a": "\\ud83d"}\n', "f.jsonl", 'line 2: "a" holds'),
        (b'[{"a": 1},\n{"a": }]', "f.json", "line 2, column 7: not JSON"),
        (b'[{"a": 1},\n 2]', "f.json", "line 2: every item must be"),
        (b'{"a":\n1}', "f.json", "one JSON value, not rows"),
        (b"a,b\n", "f.dat", "cannot tell the format .* --input_format"),
    ],
)
def test_faults_name_file_and_line(tmp_path, content, name, words):
    with pytest.raises(InputError, match=words) as error:
        read(tmp_path, content, name)
    assert name in str(error.value)


def test_missing_file():
    with pytest.raises(InputError, match="no such file"):
        registry.expand_paths(["nowhere.csv"])


# As gs:// and s3:// are read.
@pytest.mark.parametrize("scheme", ["ram", "memory"])
def test_every_format_is_read_from_an_address(scheme, tmp_path):
    frame = pd.DataFrame({"text": ["a b", "c"], "label": ["x", "y"]})
    frame.to_csv(tmp_path / "a.csv", index=False)
    for suffix in (".gz", ".bz2", ".xz", ".zip"):
        frame.to_csv(tmp_path / f"a.csv{suffix}", index=False)
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    for text, label in frame.itertuples(index=False):
        (tmp_path / "folder" / label).mkdir(parents=True)
        (tmp_path / "folder" / label / "1.txt").write_text(text)
    paths = sorted(tmp_path.iterdir())
    for name in files.list_files(str(tmp_path)):
        files.upload(f"{tmp_path}/{name}", f"{scheme}://formats/{name}")
    for path in paths:
        address = f"{scheme}://formats/{path.name}"
        assert registry.expand_paths([address]) == (address,)
        table = registry.open_table(address)
        assert [
            (row.fields["text"], row.fields["label"]) for row in table.rows
        ] == [("a b", "x"), ("c", "y")], path


def test_a_format_is_added_where_the_docs_say(tmp_path, monkeypatch):
    """A binary format from outside: one function and one line."""

    def read_pickled(path, name, options):
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


def test_rows_that_columns_without_a_name_may_lack(tmp_path):
    content = b"v1,v2,,\nham,a,,\nspam,b\nham,c,x,\n"
    columns, rows = read(tmp_path, content)
    assert columns == ("v1", "v2")
    assert rows == [(2, "ham", "a"), (3, "spam", "b"), (4, "ham", "c")]


def test_what_goes_on_in_columns_without_a_name_is_told(tmp_path, caplog):
    path = tmp_path / "spam.csv"
    path.write_text("v1,v2,,\nham,go on, crazy,\nspam,win,,\n")
    frame, _ = examples.read_examples([str(path)])
    assert list(frame["text"]) == ["go on", "win"]
    assert "1 rows go on in columns without a name" in caplog.text
    assert "(lines 2)" in caplog.text
    options = ReadOptions(
        column_names=("v1", "v2", "a", "b"), text_column="v2,a,b"
    )
    frame, _ = examples.read_examples([str(path)], options)
    assert list(frame["text"]) == ["go on  crazy", "win"]


def test_quotes_of_texts_in_a_tsv_swallow_no_rows(tmp_path):
    content = b'text\tlabel\n"a"\t1\n"so bad\t0\nand good"\t1\n"x" y\t0\n'
    _, rows = read(tmp_path, content, "file.tsv")
    assert [row[1:] for row in rows] == [
        ('"a"', "1"), ('"so bad', "0"), ('and good"', "1"), ('"x" y', "0"),
    ]  # fmt: skip


def test_a_quoted_tsv_with_quotes_of_texts_far_down(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "_SAMPLE_LINES", 3)
    content = b'text\tlabel\n"a ""b"""\t1\n"so bad\t0\nand good"\t1\nc\t0\n'
    _, rows = read(tmp_path, content, "file.tsv")
    assert rows == [
        (2, 'a "b"', "1"), (3, '"so bad', "0"), (4, 'and good"', "1"),
        (5, "c", "0"),
    ]  # fmt: skip


def test_the_delimiter_that_the_first_line_tells(tmp_path):
    _, rows = read(tmp_path, b"sep=;\r\ntext;label\r\na,b;c\r\n \r\n")
    assert rows == [(3, "a,b", "c")]


def test_two_delimiters_that_fit_are_told(tmp_path):
    with pytest.raises(InputError, match="comma or semicolon may separate"):
        read(tmp_path, b"Gut;3,5\nSchlecht;1,0\n", header=False)


def test_fields_that_a_json_row_lacks_are_as_empty_ones(tmp_path):
    path = tmp_path / "file.jsonl"
    path.write_text('{"text": "a", "label": 1}\n{"text": "b"}\n')
    with pytest.raises(InputError, match=r"1 of 2 rows .* no label .*lines 2"):
        examples.read_examples([str(path)])
    frame, _ = examples.read_examples([str(path)], drop_incomplete=True)
    assert list(frame["text"]) == ["a"]


@pytest.mark.parametrize("encoding", ["UTF-8", "utf8", "utf-8-sig", None])
def test_a_byte_order_mark_is_no_text(tmp_path, encoding):
    content = "\ufefftext,label\na,b\n".encode()
    columns, _ = read(tmp_path, content, encoding=encoding)
    assert columns == ("text", "label")
    content = "\ufefftext,label\na,b\n".encode("utf-16-le")
    columns, _ = read(tmp_path, content, encoding="utf-16-le")
    assert columns == ("text", "label")


def test_one_bad_line_among_good_ones_is_to_be_mended(tmp_path):
    content = "text,label\ncafé,a\n".encode() + b"caf\xe9,b\n"
    with pytest.raises(InputError, match="line 3: .* lines before it are"):
        read(tmp_path, content)


def test_classes_of_folders_in_folders_are_refused(tmp_path):
    for path in ("train/pos/1.txt", "train/neg/1.txt", "train/urls.txt"):
        (tmp_path / "imdb" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "imdb" / path).write_text("a")
    with pytest.raises(InputError, match=r"such as .*imdb/train"):
        registry.open_table(str(tmp_path / "imdb"))
    table = registry.open_table(str(tmp_path / "imdb" / "train"))
    assert [row.fields["label"] for row in table.rows] == ["neg", "pos"]


def test_parquet_of_the_datasets_package_has_names_of_classes(tmp_path):
    datasets = pytest.importorskip("datasets", reason="needs the extra")
    names = datasets.ClassLabel(names=["neg", "pos"])
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": names}
    )
    datasets.Dataset.from_dict(
        {"text": ["a", "b"], "label": [1, -1]}, features=features
    ).to_parquet(tmp_path / "file.parquet")
    table = registry.open_table(str(tmp_path / "file.parquet"))
    assert [row.fields["label"] for row in table.rows] == ["pos", ""]


def test_what_a_workbook_holds_beside_the_table(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="needs the extra excel")
    book = openpyxl.Workbook()
    hidden = book.active
    hidden.sheet_state = "hidden"
    hidden.append(["no", "table"])
    sheet = book.create_sheet("rows")
    for row in (
        [], ["text", "label"], ["a_x000D_b", 1], ["c", "#N/A", "a note"],
    ):  # fmt: skip
        sheet.append(row)
    book.save(tmp_path / "file.xlsx")
    table = registry.open_table(str(tmp_path / "file.xlsx"))
    assert [(row.line, *row.fields.values()) for row in table.rows] == [
        (3, "a\rb", "1"), (4, "c", ""),
    ]  # fmt: skip


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InstallationError, match="pip install openpyxl"):
        read(tmp_path, b"", "file.xlsx")


def test_several_members_and_several_splits_are_listed(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("train.csv", "a")
        archive.writestr("test.csv", "a")
    with pytest.raises(InputError, match=r"2 files, not one \(train.csv, test"):
        registry.open_table(str(tmp_path / "a.zip"))
    datasets = pytest.importorskip("datasets", reason="needs the extra")
    one = datasets.Dataset.from_dict({"text": ["a"]})
    splits = datasets.DatasetDict(train=one, test=one)
    splits.save_to_disk(tmp_path / "saved")
    with pytest.raises(InputError, match=r"name one: .*saved/test, .*train"):
        registry.open_table(str(tmp_path / "saved"))


ROWS = [("good, bright\tday", "pos"), ('a "bad" day', "neg")] * 3
HEADER = ("text", "label")


def as_delimited(delimiter, *, header=True):
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    writer.writerows([HEADER, *ROWS] if header else ROWS)
    return file.getvalue()


def objects():
    return [dict(zip(HEADER, row, strict=True)) for row in ROWS]


def write_csv(folder):
    (folder / "a.csv").write_text(as_delimited(","))
    return folder / "a.csv", {}


def write_semicolons(folder):
    (folder / "a.csv").write_text(as_delimited(";"))
    return folder / "a.csv", {}


def write_pipes(folder):
    (folder / "a.data").write_text(as_delimited("|"))
    return folder / "a.data", {"delimiter": "pipe"}


def write_without_header(folder):
    (folder / "a.txt").write_text(as_delimited("\t", header=False))
    return folder / "a.txt", {
        "delimiter": "tab", "header": False, "column_names": HEADER,
    }  # fmt: skip


def write_escaped(folder):
    text = as_delimited(",").replace('""', '\\"')
    (folder / "a.csv").write_text(text)
    return folder / "a.csv", {"escapechar": "\\"}


def write_with_index(folder):
    frame = pd.DataFrame(ROWS, columns=HEADER)
    frame[""] = ""
    frame.to_csv(folder / "a.csv")
    return folder / "a.csv", {}


def write_tsv(folder):
    (folder / "a.tsv").write_text(as_delimited("\t"))
    return folder / "a.tsv", {}


def write_utf_16(folder):
    (folder / "a.csv").write_text(as_delimited(","), "utf-16")
    return folder / "a.csv", {}


def write_old_line_ends(folder):
    text = as_delimited(",").replace("\n", "\r").encode("cp1252")
    (folder / "a.csv").write_bytes(text)
    return folder / "a.csv", {"encoding": "cp1252"}


def write_gz(folder):
    path = folder / "a.csv.gz"
    path.write_bytes(gzip.compress(as_delimited(",").encode()))
    return path, {}


def write_bz2(folder):
    path = folder / "a.tsv.bz2"
    path.write_bytes(bz2.compress(as_delimited("\t").encode()))
    return path, {}


def write_xz(folder):
    lines = "".join(f"{json.dumps(one)}\n" for one in objects())
    (folder / "a.jsonl.xz").write_bytes(lzma.compress(lines.encode()))
    return folder / "a.jsonl.xz", {}


def write_zip(folder):
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("rows.csv", as_delimited(","))
        archive.writestr("__MACOSX/._rows.csv", "x")
    return folder / "a.zip", {}


def write_json_lines(folder):
    lines = "".join(f"{json.dumps(one)}\n" for one in objects())
    (folder / "a.json").write_text(lines)
    return folder / "a.json", {}


def write_json_array(folder):
    (folder / "a.json").write_text(json.dumps(objects(), indent=1))
    return folder / "a.json", {}


def write_fasttext(folder):
    lines = [f"__label__{label} {text}\n" for text, label in ROWS]
    (folder / "a.txt").write_text("".join(lines))
    return folder / "a.txt", {}


def write_class_folders(folder):
    for i, (text, label) in enumerate(ROWS):
        (folder / "all" / label).mkdir(parents=True, exist_ok=True)
        (folder / "all" / label / f"{i:02}.txt").write_text(text)
    return folder / "all", {}


def write_class_files(folder):
    write_class_folders(folder)
    return folder / "all" / "*" / "*.txt", {}


def write_parquet(folder):
    pytest.importorskip("pyarrow", reason="needs the extra parquet")
    pd.DataFrame(ROWS, columns=HEADER).to_parquet(folder / "a.parquet")
    return folder / "a.parquet", {}


def write_excel(folder):
    pytest.importorskip("openpyxl", reason="needs the extra excel")
    frame = pd.DataFrame(ROWS, columns=HEADER)
    frame.to_excel(folder / "a.xlsx", index=False)
    return folder / "a.xlsx", {}


def write_saved_dataset(folder):
    datasets = pytest.importorskip("datasets", reason="needs the extra")
    names = datasets.ClassLabel(names=["neg", "pos"])
    columns = {
        "text": [text for text, _ in ROWS],
        "label": [names.str2int(label) for _, label in ROWS],
    }
    datasets.Dataset.from_dict(
        columns,
        features=datasets.Features(
            {"text": datasets.Value("string"), "label": names}
        ),
    ).save_to_disk(folder / "saved")
    return folder / "saved", {}


FORMS = [
    write_csv, write_semicolons, write_pipes, write_without_header,
    write_escaped, write_with_index, write_tsv, write_utf_16,
    write_old_line_ends, write_gz, write_bz2, write_xz, write_zip,
    write_json_lines, write_json_array, write_fasttext, write_class_folders,
    write_class_files, write_parquet, write_excel, write_saved_dataset,
]  # fmt: skip


@pytest.mark.parametrize("write", FORMS)
def test_every_form_gives_the_same_rows(tmp_path, write):
    path, options = write(tmp_path)
    frame, columns = examples.read_examples([str(path)], ReadOptions(**options))
    found = sorted(zip(frame["text"], frame["label"], strict=True))
    assert found == sorted(ROWS)
    assert (columns.text, columns.label) == HEADER


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("pos\tgood\nneg\tbad\n", "--delimiter=tab, and --noheader"),
        ("pos|good\nneg|bad\n", "--delimiter=pipe, and --noheader"),
        ("good\nbad\n", "has no label; name what separates"),
    ],
)
def test_a_text_file_without_labels_is_refused(tmp_path, content, words):
    path = tmp_path / "a.txt"
    path.write_text(content)
    with pytest.raises(InputError, match=words):
        examples.read_examples([str(path)])
    # A text a line where none are wanted.
    frame, _ = examples.read_examples([str(path)], labelled=False)
    assert list(frame["text"]) == content.splitlines()


def test_numbered_labels_get_names(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,1\nb,0.0\nc,2\n")
    names = ("negative", "neutral", "positive")
    options = ReadOptions(label_names=names)
    frame, _ = examples.read_examples([str(path)], options)
    assert list(frame["label"]) == ["neutral", "negative", "positive"]
    with pytest.raises(InputError, match='line 4: the label "2" is not'):
        examples.read_examples([str(path)], ReadOptions(label_names=names[:2]))
