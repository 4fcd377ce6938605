"""Files with random faults: told in a message, or read as others read them.

FUZZ_FILES=50000 .venv/bin/python -m pytest tests/data/mutated_files_test.py
"""

import bz2
import codecs
import collections
import csv
import gzip
import io
import json
import lzma
import os
import pathlib
import random
import shutil
import tempfile
import zipfile

import pandas as pd
import pytest

from bert_tf.data import examples, label_types
from bert_tf.data.columns import open_tables
from bert_tf.data.readers import delimited
from bert_tf.errors import InputError

FILES = int(os.environ.get("FUZZ_FILES", "4000"))
ROWS = [
    {"id": str(i), "text": text, "label": "ab"[i % 2]}
    for i, text in enumerate(
        ["good", 'a "quoted", text', "two\nlines", "größer ☃", "tab\there", ""]
        * 4
    )
]
PIECES = (
    b'"', b'""', b",", b";", b"\t", b"|", b"\n", b"\r", b"\r\n", b"\\", b"\0",
    b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"[", b"]", b"{", b"}", b":", b"1",
    b"null", b"__label__", b"__label__a ", b" ", b"\xe9", b"\xed\xa0\xbd",
    b"\\ud83d", b"\\u0000", b"9" * 40,
)  # fmt: skip


def as_csv(delimiter):
    file = io.StringIO()
    writer = csv.DictWriter(file, ROWS[0], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(ROWS)
    return file.getvalue().encode()


def as_binary(method):
    file = io.BytesIO()
    getattr(pd.DataFrame(ROWS), method)(file, index=False)
    return file.getvalue()


def zipped(name, content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def contents():
    lines = "".join(f"{json.dumps(row)}\n" for row in ROWS).encode()
    fasttext = "".join(
        f"__label__{row['label']} {row['text'].split()}\n" for row in ROWS
    )
    conll = "EU B-ORG\nrejects O\n\nPeter B-PER\nBlackburn I-PER\n\n" * 3
    squad = {"data": [{"paragraphs": [{"context": "in Paris", "qas": [
        {"id": 1, "question": "where?",
         "answers": [{"text": "Paris", "answer_start": 3}]}]}]}]}  # fmt: skip
    yield from {
        "a.csv": as_csv(","),
        "b.csv": as_csv(";"),
        "a.tsv": as_csv("\t"),
        "u.csv": as_csv(",").decode().encode("utf-16"),
        "a.jsonl": lines,
        "a.json": json.dumps(ROWS, indent=1).encode(),
        "s.json": json.dumps(squad).encode(),
        "a.txt": fasttext.encode(),
        "a.conll": conll.encode(),
        "a.csv.gz": gzip.compress(as_csv(",")),
        "a.csv.bz2": bz2.compress(as_csv(",")),
        "a.jsonl.xz": lzma.compress(lines),
        "a.zip": zipped("a.csv", as_csv(",")),
        "a.parquet": as_binary("to_parquet"),
        "a.xlsx": as_binary("to_excel"),
        # A folder.
        "saved": None,
    }.items()


def mutated_dataset(path, generator):
    """Writes a folder of save_to_disk with faults in one of its files."""
    datasets = pytest.importorskip("datasets", reason="needs the extra")
    if not path.exists():
        datasets.Dataset.from_list(ROWS).save_to_disk(path)
        for file in path.iterdir():
            file.rename(f"{path}_{file.name}")
        path.rmdir()
        path.mkdir()
    originals = sorted(path.parent.glob(f"{path.name}_*"))
    chosen = generator.randrange(len(originals))
    for number, original in enumerate(originals):
        content = original.read_bytes()
        if number == chosen:
            content = mutated(content, generator)
        name = original.name.removeprefix(f"{path.name}_")
        (path / name).write_bytes(content)
    return path


def mutated(content, generator):
    content = bytearray(content)
    for _ in range(generator.choice([0, 1, 1, 1, 2, 4, 16])):
        place = generator.randrange(len(content) + 1)
        end = place + generator.choice([1, 1, 1, 8, 100])
        change = generator.randrange(6)
        if change == 0:
            content[place:place] = generator.choice(PIECES)
        elif change == 1:
            del content[place:end]
        elif change == 2:
            content[place:end] = generator.randbytes(end - place)
        elif change == 3:
            content[place:place] = content[place:end]
        elif change == 4:
            del content[place:]
        else:
            content[place:end] = generator.choice(PIECES)
    return bytes(content)


def decoded(path):
    content = path.read_bytes()
    for suffix, decompress in (
        (".gz", gzip.decompress), (".bz2", bz2.decompress),
        (".xz", lzma.decompress),
    ):  # fmt: skip
        if path.suffix == suffix:
            content = decompress(content)
    if path.suffix == ".zip":
        archive = zipfile.ZipFile(io.BytesIO(content))
        content = archive.read(archive.namelist()[0])
    is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if is_wide else "utf-8-sig")


def counts(path):
    """Returns the rows that plain readers find, by each reading."""
    if path.suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        return {parquet.ParquetFile(path).metadata.num_rows}
    if path.is_dir():
        datasets = pytest.importorskip("datasets", reason="needs the extra")
        return {len(datasets.load_from_disk(path))}
    if path.suffix == ".xlsx":
        return {len(pd.read_excel(path, engine="openpyxl").dropna(how="all"))}
    text = decoded(path)
    lines = text.splitlines(keepends=True)
    if path.suffix == ".txt":
        return {sum(bool(line.strip()) for line in text.split("\n"))}
    if path.suffix == ".conll":
        blocks, inside = 0, False
        for line in text.split("\n"):
            is_word = bool(line.strip()) and not line.startswith("-DOCSTART-")
            blocks += is_word and not inside
            inside = is_word
        return {blocks}
    if {".json", ".jsonl"} & set(path.suffixes):
        if text.lstrip().startswith("["):
            return {len(json.loads(text))}
        if path.name == "s.json":
            return {
                sum(
                    len(paragraph["qas"])
                    for article in json.loads(text)["data"]
                    for paragraph in article["paragraphs"]
                )
            }
        return {sum(bool(line.strip()) for line in text.split("\n"))}
    if "\n" not in text:
        text = text.replace("\r", "\n")
    lines = text.split("\n")
    lines = [f"{line}\n" for line in lines[:-1]] + lines[-1:]
    usual = "\t" if path.suffix == ".tsv" else ","
    delimiter = delimited.find_delimiter(lines, usual)
    found = set()
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
        try:
            records = csv.reader(lines, delimiter=delimiter, quoting=quoting)
            found.add(sum(bool(record) for record in records) - 1)
        except csv.Error:
            continue
    return found


@pytest.mark.slow
def test_mutated_files_are_told_or_read(tmp_path):
    pytest.importorskip("pyarrow", reason="needs the extra parquet")
    pytest.importorskip("openpyxl", reason="needs the extra excel")
    generator = random.Random(7)
    originals = list(contents())
    outcomes = collections.Counter()
    for number in range(FILES):
        name, content = originals[number % len(originals)]
        path = tmp_path / name
        if content is None:
            path = mutated_dataset(path, generator)
        else:
            path.write_bytes(mutated(content, generator))
        try:
            rows = [
                row for table, _ in open_tables([str(path)])
                for row in table.rows
            ]  # fmt: skip
            examples.read_examples(
                [str(path)],
                label_type=label_types.of_task("classification"),
                drop_incomplete=True,
            )
        except InputError as error:
            assert str(path) in str(error)
            outcomes["told"] += 1
        except BaseException:
            keep(path)
            raise
        else:
            if len(rows) not in counts(path):
                raise AssertionError(
                    f"{len(rows)} rows of {keep(path)}, not {counts(path)}"
                )
            outcomes["read"] += 1
    print(outcomes)
    assert min(outcomes["told"], outcomes["read"]) > FILES / 10


def keep(path):
    """Keeps a file that is not read as it should, and returns its path."""
    kept = pathlib.Path(tempfile.gettempdir()) / f"mutated_{path.name}"
    copy = shutil.copytree if path.is_dir() else shutil.copy
    return copy(path, kept)
