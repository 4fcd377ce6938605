"""CSV, TSV and whatever else stands between fields.

The csv module reads the rows, not pandas: it alone tells the line on which a
record starts, which every error message here names.
"""

import csv
import itertools
from collections.abc import Iterable, Iterator, Sequence

from absl import logging

from bert_tf.config.read_options import ReadOptions
from bert_tf.data.readers.table import Table
from bert_tf.errors import InputError

# How many lines are read to see what stands between fields and around them.
_SAMPLE_LINES = 2_000
# Texts of several megabytes are unusual, not wrong; the csv module's own limit
# is 128 KiB.
_FIELD_SIZE_LIMIT = 2**31 - 1
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
_BACKSLASH = "\\"


def read_csv(lines: Iterator[str], name: str, options: ReadOptions) -> Table:
    """Returns the rows of a file of commas, or of what is found in it."""
    return _read(lines, name, options, ",")


def read_tsv(lines: Iterator[str], name: str, options: ReadOptions) -> Table:
    """Returns the rows of a file of tabs, or of what is found in it."""
    return _read(lines, name, options, "\t")


def find_delimiter(lines: Sequence[str], usual: str) -> str:
    """Returns what stands between the fields of some lines.

    Args:
        lines: the first of a file.
        usual: is preferred, and returned where nothing fits: that every record
            has as many fields as the first, two or more.
    """
    for delimiter in (usual, *DELIMITERS):
        if _fits(lines, delimiter):
            return delimiter
    return usual


def _fits(lines: Sequence[str], delimiter: str) -> bool:
    lengths = set()
    try:
        for record in csv.reader(
            lines,
            delimiter=delimiter,
            quoting=_quoting(lines, delimiter),
            strict=True,
        ):
            if record:
                lengths.add(len(record))
    except csv.Error:
        # A record may go on behind the last of the lines.
        if len(lines) < _SAMPLE_LINES:
            return False
    return len(lengths) == 1 and lengths.pop() > 1


def _read(
    lines: Iterator[str], name: str, options: ReadOptions, usual: str
) -> Table:
    csv.field_size_limit(_FIELD_SIZE_LIMIT)
    sample = list(itertools.islice(lines, _SAMPLE_LINES))
    delimiter = options.delimiter_character
    if delimiter is None:
        delimiter = find_delimiter(sample, usual)
        if delimiter != usual:
            logging.info(
                "%s: fields are separated by %ss.", name, DELIMITERS[delimiter]
            )
    records = _records(
        itertools.chain(sample, lines),
        name,
        delimiter=delimiter,
        quoting=_quoting(sample, delimiter),
        escapechar=options.escapechar,
        # Strict: a stray or unclosed quote is an error, where the default
        # would quietly swallow the rows after it.
        strict=True,
    )
    return Table.from_fields(records, name, options)


def _records(
    lines: Iterable[str], name: str, **dialect
) -> Iterator[tuple[int, list[str]]]:
    """Yields the line that each record starts on, and its fields."""
    last = [""]

    def remembered() -> Iterator[str]:
        for line in lines:
            last[0] = line
            yield line

    reader = csv.reader(remembered(), **dialect)
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            remedy = (
                "double quotes inside a quoted text must be doubled, and line "
                "ends must be \\n or \\r\\n"
            )
            if _reads_escaped(last[0], dialect):
                remedy = "quotes stand behind backslashes: --escapechar='\\'"
            raise InputError(
                f"{name}, record from line {line}: {error}; {remedy}"
            ) from None
        if record:
            yield line, record


def _reads_escaped(line: str, dialect: dict) -> bool:
    if dialect["escapechar"] or _BACKSLASH + '"' not in line:
        return False
    try:
        list(csv.reader([line], **{**dialect, "escapechar": _BACKSLASH}))
    except csv.Error:
        return False
    return True


def _quoting(sample: Sequence[str], delimiter: str) -> int:
    """Tells whether a TSV file quotes fields (spreadsheets) or not (GLUE).

    It does if the sample reads without a fault under strict quoting, every
    record is as long as the header, and some field is quoted. Others do.
    """
    if delimiter != "\t":
        return csv.QUOTE_MINIMAL
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
