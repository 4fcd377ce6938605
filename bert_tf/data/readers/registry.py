"""Maps file suffixes to formats and opens a file as a table.

To add a format, write a file that reads it and a line of FORMATS.
"""

import itertools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from bert_tf import files
from bert_tf.data.readers import conll, delimited, json_files
from bert_tf.data.readers.table import Table
from bert_tf.errors import InputError

STANDARD_INPUT = "-"


class Format(NamedTuple):
    """A file format.

    Attributes:
        read: takes the decoded lines of a file, of which there is one at
            least, or of a binary format its path; and its name for messages.
        suffixes: of its files.
        is_binary: whether `read` opens the file itself.
    """

    read: Callable[..., Table]
    suffixes: tuple[str, ...]
    is_binary: bool = False


FORMATS = {
    "csv": Format(delimited.read_csv, (".csv",)),
    "tsv": Format(delimited.read_tsv, (".tsv",)),
    "jsonl": Format(json_files.read_lines, (".jsonl", ".ndjson")),
    "text": Format(delimited.read_text, (".txt",)),
    "conll": Format(conll.read, (".conll",)),
    "squad": Format(json_files.read_squad, (".json",)),
}


def expand_paths(patterns: Sequence[str]) -> tuple[str, ...]:
    """Returns the files that paths and globs name; InputError for none."""
    paths: list[str] = []
    for pattern in patterns:
        if pattern == STANDARD_INPUT or files.exists(pattern):
            matches = [pattern]
        else:
            matches = files.glob(pattern)
        if not matches:
            raise InputError(
                f"{pattern}: no such file; the current folder is {os.getcwd()}"
            )
        for path in matches:
            if path != STANDARD_INPUT and files.is_folder(path):
                raise InputError(
                    f'{path} is a folder; name its files, e.g. "{path}/*.csv"'
                )
        paths.extend(path for path in matches if path not in paths)
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
    file_format = FORMATS[file_format or format_of(path)]
    name = "standard input" if path == STANDARD_INPUT else path
    if file_format.is_binary:
        return file_format.read(path, name)
    lines = _decoded_lines(_binary_lines(path), name)
    first = next(lines, None)
    if first is None:
        raise InputError(f"{name} is empty")
    lines = itertools.chain([first], lines)
    return file_format.read(lines, name)


def format_of(path: str) -> str:
    """Returns the format that a path's suffix names."""
    if path == STANDARD_INPUT:
        return "text"
    suffix = os.path.splitext(path)[1].lower()
    for name, one in FORMATS.items():
        if suffix in one.suffixes:
            return name
    known = [suffix for one in FORMATS.values() for suffix in one.suffixes]
    raise InputError(
        f'{path}: cannot tell the format from the suffix "{suffix}"; known are '
        f"{', '.join(known)}"
    )


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
