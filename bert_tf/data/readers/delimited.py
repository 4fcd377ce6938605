"""CSV, TSV and whatever else stands between fields.

The csv module reads the rows, not pandas: it alone tells the line on which a
record starts, which every error message here names.
"""

import csv
import itertools
import re
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
# A first line that names the delimiter.
_TOLD = re.compile(r'"?sep=(.)"?\r?\n')


def read_csv(lines: Iterator[str], name: str, options: ReadOptions) -> Table:
    """Returns the rows of a file of commas, or of what is found in it."""
    return _read(lines, name, options, ",")


def read_tsv(lines: Iterator[str], name: str, options: ReadOptions) -> Table:
    """Returns the rows of a file of tabs, or of what is found in it."""
    return _read(lines, name, options, "\t")


def find_delimiter(
    lines: Sequence[str], usual: str, *, escapechar: str | None = None
) -> str:
    """Returns what stands between the fields of some lines.

    Args:
        lines: the first of a file.
        usual: is preferred, and returned where nothing fits: that every record
            has as many fields as the first, two or more.
        escapechar: see `ReadOptions`.
    """
    return next(_fitting(lines, usual, escapechar), usual)


def _fitting(
    lines: Sequence[str], usual: str, escapechar: str | None
) -> Iterator[str]:
    for one in dict.fromkeys((usual, *DELIMITERS)):
        if _fits(lines, one, escapechar):
            yield one


def _fits(lines: Sequence[str], delimiter: str, escapechar: str | None) -> bool:
    lengths = set()
    try:
        for record in csv.reader(
            lines,
            delimiter=delimiter,
            quoting=_quoting(lines, delimiter, escapechar),
            escapechar=escapechar,
            strict=True,
        ):
            if len(record) > 1 or any(record):
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
    # What Excel writes and reads.
    told = _TOLD.fullmatch(sample[0])
    if told:
        sample = sample[1:]
        delimiter = delimiter or told[1]
    if delimiter is None:
        delimiter = _choose_delimiter(sample, name, options, usual)
    records = _records(
        itertools.chain(sample, lines),
        name,
        first_line=2 if told else 1,
        delimiter=delimiter,
        quoting=_quoting(sample, delimiter, options.escapechar),
        escapechar=options.escapechar,
        # Strict: a stray or unclosed quote is an error, where the default
        # would quietly swallow the rows after it.
        strict=True,
    )
    return Table.from_fields(records, name, options)


def _choose_delimiter(
    sample: Sequence[str], name: str, options: ReadOptions, usual: str
) -> str:
    if not options.header:
        # No names that would show a wrong choice.
        names = [
            DELIMITERS[one]
            for one in _fitting(sample, usual, options.escapechar)
        ]
        if len(names) > 1:
            raise InputError(
                f"{name}: {' or '.join(names)} may separate its fields; name "
                "one with --delimiter"
            )
    delimiter = find_delimiter(sample, usual, escapechar=options.escapechar)
    if delimiter != usual:
        logging.info(
            "%s: fields are separated by %ss.", name, DELIMITERS[delimiter]
        )
    return delimiter


def _records(
    lines: Iterable[str], name: str, *, first_line: int, **dialect
) -> Iterator[tuple[int, list[str]]]:
    """Yields the line that each record starts on, and its fields.

    Quotes of a file of tabs may be of the texts. Where a record would go on
    over lines that have as many tabs as the header each, they are.
    """
    read: list[str] = []

    def remembered() -> Iterator[str]:
        for line in lines:
            read.append(line)
            yield line

    reader = csv.reader(remembered(), **dialect)
    delimiter, tabs = dialect["delimiter"], None
    while True:
        line = reader.line_num + first_line
        read.clear()
        record, fault = None, None
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            fault = error
        if delimiter == "\t" and tabs is None:
            tabs = read[0].count("\t")
        elif delimiter == "\t" and (fault or len(read) > 1):
            rows = [one.rstrip("\r\n").split("\t") for one in read]
            is_whole = all(len(row) == 1 + tabs for row in rows)
            if is_whole and not any("\r" in one.rstrip() for one in read):
                yield from enumerate(rows, line)
                continue
        if fault:
            raise InputError(
                f"{name}, record from line {line}: {fault}; "
                + _remedy(read[-1], dialect)
            )
        if record:
            yield line, record


def _remedy(line: str, dialect: dict) -> str:
    if _reads_escaped(line, dialect):
        return "quotes stand behind backslashes: --escapechar='\\'"
    return (
        "double quotes inside a quoted text must be doubled, and line ends "
        "must be \\n or \\r\\n"
    )


def _reads_escaped(line: str, dialect: dict) -> bool:
    if dialect["escapechar"] or _BACKSLASH + '"' not in line:
        return False
    try:
        list(csv.reader([line], **{**dialect, "escapechar": _BACKSLASH}))
    except csv.Error:
        return False
    return True


def _quoting(
    sample: Sequence[str], delimiter: str, escapechar: str | None
) -> int:
    """Tells whether a TSV file quotes fields (spreadsheets) or not (GLUE).

    It does if the sample reads without a fault under strict quoting, every
    record is as long as the header, and some field is quoted. Others do.
    """
    if delimiter != "\t":
        return csv.QUOTE_MINIMAL
    complete = len(sample) < _SAMPLE_LINES
    lengths = []
    try:
        for record in csv.reader(
            sample, delimiter="\t", escapechar=escapechar, strict=True
        ):
            lengths.append(len(record))
    except csv.Error:
        if complete or len(set(lengths)) != 1:
            return csv.QUOTE_NONE
    quoted = any(
        field.startswith('"') for line in sample for field in line.split("\t")
    )
    same = len({length for length in lengths if length}) == 1
    return csv.QUOTE_MINIMAL if quoted and same else csv.QUOTE_NONE
