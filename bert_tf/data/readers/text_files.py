"""Plain text: a line a text, fastText's labelled lines, a folder a class."""

import itertools
import os
import re
from collections.abc import Iterator, Sequence

from absl import logging

from bert_tf import files
from bert_tf.config.read_options import ReadOptions
from bert_tf.data.readers import compression, decoding
from bert_tf.data.readers.delimited import DELIMITERS, find_delimiter
from bert_tf.data.readers.table import Row, Table, as_text
from bert_tf.errors import InputError

# What fastText's supervised training takes: labels first, then the text.
LABEL_PREFIX = "__label__"
_LABELS = re.compile(rf"(?:{LABEL_PREFIX}\S+\s+)+")
_SAMPLE_LINES = 20


def read_lines(lines: Iterator[str], name: str, options: ReadOptions) -> Table:
    """Returns a row for each line, of the one column `text`."""
    del options
    rows = (
        Row(name, number, {"text": line.rstrip("\r\n")})
        for number, line in enumerate(lines, 1)
    )
    return Table(name, ("text",), rows)


def read_fasttext(
    lines: Iterator[str], name: str, options: ReadOptions
) -> Table:
    """Returns a row for each line of __label__NAME ... and a text.

    Several labels are a JSON list.
    """
    del options
    return Table(name, ("text", "label"), _fasttext_rows(lines, name))


def _fasttext_rows(lines: Iterator[str], name: str) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        match = _LABELS.match(line)
        if match is None:
            raise InputError(
                f"{name}, line {number}: the line does not begin with "
                f"{LABEL_PREFIX}NAME and a text, as those before do"
            )
        labels = [
            label.removeprefix(LABEL_PREFIX) for label in match[0].split()
        ]
        text = line[match.end() :].rstrip("\r\n")
        label = labels[0] if len(labels) == 1 else as_text(labels)
        yield Row(name, number, {"text": text, "label": label})


def no_labels(lines: Iterator[str], name: str) -> InputError:
    """Returns the error for a text a line where labels are wanted."""
    sample = list(itertools.islice(lines, _SAMPLE_LINES))
    delimiter = find_delimiter(sample, "\t")
    remedy = "name what separates text and label: --delimiter=tab"
    if delimiter in sample[0]:
        word = DELIMITERS[delimiter]
        remedy = f"{word}s seem to separate its fields: --delimiter={word}"
    return InputError(
        f"{name} is read as a text a line, which has no label; {remedy}, and "
        "--noheader --column_names=label,text where the first line names no "
        "columns"
    )


def is_class_folder(path: str) -> bool:
    """Whether a folder has folders that hold .txt files."""
    return files.is_folder(path) and bool(files.glob(f"{path}/*/*.txt"))


def are_of_classes(paths: Sequence[str]) -> bool:
    """Whether paths are of .txt files in more than one folder."""
    folders = {os.path.dirname(path) for path in paths}
    return len(folders) > 1 and all(path.endswith(".txt") for path in paths)


def read_class_folder(path: str, name: str, options: ReadOptions) -> Table:
    """Returns a row for each file of a folder with one folder a class.

    Raises:
        InputError: the folders in it hold such folders.
    """
    found = files.glob(f"{path}/*/*")
    paths = [one for one in found if one.endswith(".txt")]
    deeper = files.glob(f"{path}/*/*/*.txt")
    if deeper:
        inner = os.path.dirname(os.path.dirname(deeper[0]))
        raise InputError(
            f"{path} has folders in its folders; name the one whose folders "
            f"are the classes, such as {inner}"
        )
    others = len(found) - len(paths)
    if others:
        logging.warning(
            "%s: %d files that do not end with .txt are left out.", path, others
        )
    return read_class_files(paths, name, options)


def read_class_files(
    paths: Sequence[str], name: str, options: ReadOptions
) -> Table:
    """Returns a row for each file, whose folder is its label."""
    return Table(name, ("id", "text", "label"), _file_rows(paths, options))


def _file_rows(paths: Sequence[str], options: ReadOptions) -> Iterator[Row]:
    for path in paths:
        label = os.path.basename(os.path.dirname(path))
        lines = decoding.decode_lines(
            compression.read_lines(path), path, options.encoding
        )
        fields = {
            "id": f"{label}/{os.path.basename(path)}",
            "text": "".join(lines),
            "label": label,
        }
        yield Row(path, 1, fields)
