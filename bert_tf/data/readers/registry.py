"""Maps file suffixes to formats and opens a file as a table.

To add a format, write a file that reads it and a line of FORMATS.
"""

import itertools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from bert_tf import files
from bert_tf.config.read_options import ReadOptions
from bert_tf.data.readers import (
    compression,
    conll,
    decoding,
    delimited,
    excel,
    json_files,
    parquet,
    saved_dataset,
    text_files,
)
from bert_tf.data.readers.table import Table
from bert_tf.errors import InputError, check_installed

STANDARD_INPUT = "-"


class Format(NamedTuple):
    """A file format.

    Attributes:
        read: takes the decoded lines of a file, of which there is one at
            least, or of a binary format its path; its name for messages; and
            the ReadOptions.
        suffixes: of its files.
        is_binary: whether `read` opens the file itself.
        is_folder: tells whether a folder is of this format.
        package: that reads it, where it is an optional one.
    """

    read: Callable[..., Table]
    suffixes: tuple[str, ...] = ()
    is_binary: bool = False
    is_folder: Callable[[str], bool] | None = None
    package: str | None = None


FORMATS = {
    "csv": Format(delimited.read_csv, (".csv",)),
    "tsv": Format(delimited.read_tsv, (".tsv", ".tab")),
    "jsonl": Format(json_files.read, (".jsonl", ".ndjson", ".json")),
    "text": Format(text_files.read_lines, (".txt",)),
    "fasttext": Format(text_files.read_fasttext),
    "conll": Format(conll.read, (".conll",)),
    "parquet": Format(
        parquet.read, (".parquet",), is_binary=True, package="pyarrow"
    ),
    "excel": Format(excel.read, (".xlsx",), is_binary=True, package="openpyxl"),
    "saved_dataset": Format(
        saved_dataset.read,
        is_binary=True,
        is_folder=saved_dataset.is_saved_dataset,
        package="datasets",
    ),
    "class_folders": Format(
        text_files.read_class_folder,
        is_binary=True,
        is_folder=text_files.is_class_folder,
    ),
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
            here = f"; the current folder is {os.getcwd()}"
            raise InputError(
                f"{pattern}: no such file"
                + ("" if files.is_remote(pattern) else here)
            )
        paths.extend(path for path in matches if path not in paths)
    return tuple(paths)


def open_table(
    path: str,
    options: ReadOptions = ReadOptions(),
    *,
    labelled: bool = False,
) -> Table:
    """Opens one file, or standard input for "-", as a stream of rows.

    Args:
        path: a local path, a remote one (gs://, s3://), or "-".
        options: how to read it.
        labelled: whether there must be labels, which a text a line has not.

    Raises:
        InputError: the file is empty, of another encoding, or not in its
            format. Faults further down are raised while the rows are read.
        InstallationError: the package that reads it is missing.
    """
    file_format = format_of(path, options)
    name = "standard input" if path == STANDARD_INPUT else path
    package = FORMATS[file_format].package
    if package:
        check_installed(package, path)
    if FORMATS[file_format].is_binary:
        if compression.is_compressed(path):
            raise InputError(f"{path}: unpack it; {file_format} is compressed")
        return FORMATS[file_format].read(path, name, options)
    lines = decoding.decode_lines(_binary_lines(path), name, options.encoding)
    first = next(lines, None)
    if first is None:
        raise InputError(f"{name} is empty")
    lines = itertools.chain([first], lines)
    if file_format == "text" and path != STANDARD_INPUT:
        if first.startswith(text_files.LABEL_PREFIX):
            file_format = "fasttext"
        elif labelled:
            raise text_files.no_labels(lines, name)
    return FORMATS[file_format].read(lines, name, options)


def format_of(
    path: str,
    options: ReadOptions = ReadOptions(),
) -> str:
    """Returns the format that the options, a folder or a suffix name."""
    if path != STANDARD_INPUT and files.is_folder(path):
        for name, one in FORMATS.items():
            if one.is_folder is not None and one.is_folder(path):
                return name
        raise InputError(
            f'{path} is a folder; name its files, e.g. "{path}/*.csv". Read as '
            "a whole are folders of datasets' save_to_disk, and those with one "
            "folder of .txt files a class"
        )
    if path == STANDARD_INPUT and not options.input_format:
        return "csv" if options.delimiter else "text"
    return format_of_file(path, options)


def format_of_file(path: str, options: ReadOptions = ReadOptions()) -> str:
    """Returns the format that the options or a suffix name.

    Raises:
        InputError: neither does.
    """
    if options.input_format:
        return options.input_format
    suffix = os.path.splitext(compression.inner_name(path))[1].lower()
    known = {
        suffix: name for name, one in FORMATS.items() for suffix in one.suffixes
    }
    name = known.get(suffix)
    if options.delimiter and name in (None, "text"):
        return "csv"
    if name is None:
        raise InputError(
            f'{path}: cannot tell the format from the suffix "{suffix}"; known '
            f"are {', '.join(known)}. Say what it is with --input_format, or "
            "what separates its fields with --delimiter=tab; an archive has "
            "to be unpacked, a spreadsheet saved as .xlsx or CSV"
        )
    return name


def _binary_lines(path: str) -> Iterator[bytes]:
    if path == STANDARD_INPUT:
        return iter(sys.stdin.buffer)
    return compression.read_lines(path)
