"""Files to rows with line numbers: CSV, TSV, JSONL, CoNLL and plain text lines.

The csv module reads the rows, not pandas: it alone tells the line on which a
record starts, which every error message here names.
"""

import csv
import dataclasses
import itertools
import json
import os
import sys
from collections.abc import Iterator, Sequence

from bert_tf import files
from bert_tf.data import conll, squad
from bert_tf.errors import InputError

STANDARD_INPUT = "-"
FORMATS = ("csv", "tsv", "jsonl", "text", "conll", "squad")
_FORMAT_OF_SUFFIX = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".txt": "text",
    ".conll": "conll",
    ".json": "squad",
}
# How many lines of a TSV file are read to see whether it quotes its fields.
_SAMPLE_LINES = 2_000
# Texts of several megabytes are unusual, not wrong; the csv module's own limit
# is 128 KiB.
_FIELD_SIZE_LIMIT = 2**31 - 1


@dataclasses.dataclass(frozen=True)
class Row:
    """One record: where it starts and its fields by column name."""

    path: str
    line: int
    fields: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Table:
    """One file's column names and an iterator over its rows."""

    path: str
    columns: tuple[str, ...]
    rows: Iterator[Row]


def expand_paths(patterns: Sequence[str]) -> tuple[str, ...]:
    """Returns the files that paths and globs name; InputError for none."""
    paths: list[str] = []
    for pattern in patterns:
        if pattern == STANDARD_INPUT or files.exists(pattern):
            found = [pattern]
        else:
            found = files.glob(pattern)
        if not found:
            raise InputError(
                f"{pattern}: no such file; the current folder is {os.getcwd()}"
            )
        for path in found:
            if path != STANDARD_INPUT and files.is_folder(path):
                raise InputError(
                    f'{path} is a folder; name its files, e.g. "{path}/*.csv"'
                )
        paths.extend(path for path in found if path not in paths)
    return tuple(paths)


def open_table(path: str, file_format: str | None = None) -> Table:
    """Opens one file, or standard input for "-", as a stream of rows.

    Args:
        path: a local path, any path that tf.io.gfile takes, or "-".
        file_format: one of FORMATS; by default the one that the file's suffix
            names, and plain text lines for standard input.

    Raises:
        InputError: the file is empty, not UTF-8, or not in its format. Faults
            further down are raised while the rows are read.
    """
    csv.field_size_limit(_FIELD_SIZE_LIMIT)
    file_format = file_format or format_of(path)
    name = "standard input" if path == STANDARD_INPUT else path
    lines = _decoded_lines(_binary_lines(path), name)
    first = next(lines, None)
    if first is None:
        raise InputError(f"{name} is empty")
    lines = itertools.chain([first], lines)
    if file_format == "text":
        return Table(name, ("text",), _text_rows(lines, name))
    if file_format == "jsonl":
        return _table(_whole_characters(_json_rows(lines, name)), name)
    if file_format == "conll":
        sentences = conll.read_sentences(lines, name)
        return _table((Row(name, *one) for one in sentences), name)
    if file_format == "squad":
        questions = squad.read_questions(lines, name)
        rows = (Row(name, *one) for one in questions)
        return _table(_whole_characters(rows), name)
    return _delimited_table(lines, name, file_format)


def format_of(path: str) -> str:
    """Returns the format that a path's suffix names."""
    if path == STANDARD_INPUT:
        return "text"
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in _FORMAT_OF_SUFFIX:
        raise InputError(
            f"{path}: cannot tell the format from the suffix"
            f' "{suffix}"; known are {", ".join(_FORMAT_OF_SUFFIX)}'
        )
    return _FORMAT_OF_SUFFIX[suffix]


def _binary_lines(path: str) -> Iterator[bytes]:
    if path == STANDARD_INPUT:
        yield from sys.stdin.buffer
    else:
        with files.open_file(path, "rb") as file:
            yield from file


def _decoded_lines(lines: Iterator[bytes], name: str) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
            if line.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise InputError(
                    f"{name} is UTF-16, not UTF-8; convert it first, e.g. "
                    f"iconv -f UTF-16 -t UTF-8 {name} > utf8_file"
                )
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{name}, line {number}: byte {error.start + 1} "
                f"(0x{line[error.start]:02x}) is not UTF-8; convert the file "
                f"first, e.g. iconv -f WINDOWS-1252 -t UTF-8 {name} > utf8_file"
            ) from None


def _text_rows(lines: Iterator[str], name: str) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        yield Row(name, number, {"text": line.rstrip("\r\n")})


def _table(rows: Iterator[Row], name: str) -> Table:
    """Returns rows as a table with the columns of the first."""
    first = next(rows, None)
    if first is None:
        raise InputError(f"{name} has no rows")
    return Table(name, tuple(first.fields), itertools.chain([first], rows))


def _json_rows(lines: Iterator[str], name: str) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line.rstrip())
        except json.JSONDecodeError as error:
            raise InputError(
                f"{name}, line {number}, column {error.colno}: not JSON "
                f"({error.msg}); every line must be one JSON object"
            ) from None
        if not isinstance(fields, dict):
            raise InputError(
                f"{name}, line {number}: every line must be one JSON object, "
                f'such as {{"text": "...", "label": "..."}}'
            )
        yield Row(name, number, {key: _as_text(fields[key]) for key in fields})


def _whole_characters(rows: Iterator[Row]) -> Iterator[Row]:
    """Refuses halves of characters, which JSON can hold and UTF-8 cannot."""
    for row in rows:
        for column, text in row.fields.items():
            try:
                text.encode()
            except UnicodeEncodeError as error:
                half = ascii(text[error.start])
                raise InputError(
                    f'{row.path}, line {row.line}: "{column}" holds {half}, '
                    "half of a character that was cut in two (an emoji, as a "
                    "rule); delete it"
                ) from None
        yield row


def _as_text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _delimited_table(
    lines: Iterator[str], name: str, file_format: str
) -> Table:
    if file_format == "csv":
        delimiter, quoting = ",", csv.QUOTE_MINIMAL
    else:
        sample = list(itertools.islice(lines, _SAMPLE_LINES))
        lines = itertools.chain(sample, lines)
        delimiter, quoting = "\t", _tsv_quoting(sample)
    # Strict: a stray or unclosed quote is an error, where the default would
    # quietly swallow the rows after it.
    reader = csv.reader(
        lines, delimiter=delimiter, quoting=quoting, strict=True
    )
    records = _records(reader, name)
    _, header = next(records, (0, []))
    if not header:
        raise InputError(f"{name} is empty")
    columns = tuple(column.strip() for column in header)
    for column in columns:
        if columns.count(column) > 1:
            raise InputError(f'{name} has two columns named "{column}"')
    return Table(name, columns, _delimited_rows(records, name, columns))


def _delimited_rows(
    records: Iterator[tuple[int, list[str]]], name: str, columns: Sequence[str]
) -> Iterator[Row]:
    for line, record in records:
        if len(record) != len(columns):
            raise InputError(
                f"{name}, line {line}: {len(record)} fields where the header "
                f"has {len(columns)} ({', '.join(columns)}); a text that "
                "holds the delimiter must stand in double quotes"
            )
        yield Row(name, line, dict(zip(columns, record, strict=True)))


def _records(
    reader: "csv._reader", name: str
) -> Iterator[tuple[int, list[str]]]:
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(
                f"{name}, record from line {line}: {error}; double quotes "
                "inside a quoted text must be doubled, and line ends must be "
                "\\n or \\r\\n"
            ) from None
        if record:
            yield line, record


def _tsv_quoting(sample: Sequence[str]) -> int:
    """Tells whether a TSV file quotes fields (spreadsheets) or not (GLUE).

    It does if the sample reads without a fault under strict quoting, every
    record is as long as the header, and some field is quoted.
    """
    complete = len(sample) < _SAMPLE_LINES
    lengths = []
    try:
        for record in csv.reader(sample, delimiter="\t", strict=True):
            lengths.append(len(record))
    except csv.Error:
        if complete or len(set(lengths)) != 1:
            return csv.QUOTE_NONE
    quoted = any(
        field.startswith('"') for line in sample for field in line.split("\t")
    )
    same = len({length for length in lengths if length}) == 1
    return csv.QUOTE_MINIMAL if quoted and same else csv.QUOTE_NONE
