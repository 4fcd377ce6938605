"""CSV, TSV and plain text files.

The csv module reads the rows, not pandas: it alone tells the line on which a
record starts, which every error message here names.
"""

import csv
import itertools
from collections.abc import Iterator, Sequence

from bert_tf.data.readers.table import Row, Table
from bert_tf.errors import InputError

# How many lines of a TSV file are read to see whether it quotes its fields.
_SAMPLE_LINES = 2_000
# Texts of several megabytes are unusual, not wrong; the csv module's own limit
# is 128 KiB.
_FIELD_SIZE_LIMIT = 2**31 - 1


def read_csv(lines: Iterator[str], name: str) -> Table:
    """Returns the rows of a CSV file; its first line has the column names."""
    return _read(lines, name, delimiter=",", quoting=csv.QUOTE_MINIMAL)


def read_tsv(lines: Iterator[str], name: str) -> Table:
    """Returns the rows of a TSV file, whether it quotes fields or not."""
    sample = list(itertools.islice(lines, _SAMPLE_LINES))
    lines = itertools.chain(sample, lines)
    return _read(lines, name, delimiter="\t", quoting=_tsv_quoting(sample))


def read_text(lines: Iterator[str], name: str) -> Table:
    """Returns a row for each line, of the one column `text`."""
    rows = (
        Row(name, number, {"text": line.rstrip("\r\n")})
        for number, line in enumerate(lines, 1)
    )
    return Table(name, ("text",), rows)


def _read(
    lines: Iterator[str], name: str, *, delimiter: str, quoting: int
) -> Table:
    csv.field_size_limit(_FIELD_SIZE_LIMIT)
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
