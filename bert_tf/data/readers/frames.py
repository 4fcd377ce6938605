"""Data as Python has them, DataFrames and lists, read as a file is."""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bert_tf.config.read_options import ReadOptions
from bert_tf.data.readers.table import Row, Table, as_text, check_distinct
from bert_tf.errors import InputError

if TYPE_CHECKING:
    # Files are opened without it.
    import pandas as pd


@dataclasses.dataclass(frozen=True)
class FrameSource:
    """A frame in place of files.

    Attributes:
        name: what messages call it, in angle brackets, see `errors.place`.
        frame: its rows; they are numbered as `iloc` does, from 0, whatever
            their index is.
        is_of_texts: whether it was made of texts, so that no column had to be
            found.
    """

    name: str
    frame: "pd.DataFrame"
    is_of_texts: bool = False


def read(source: FrameSource) -> Table:
    """Returns the rows of a frame; numbers and dates as CSV would have them.

    Raises:
        InputError: there is no row, or two columns have one name.
    """
    name, frame = source.name, source.frame
    columns = tuple(map(str, frame.columns))
    if frame.empty:
        raise InputError(f"{name} is a DataFrame without rows")
    check_distinct(columns, name)
    return Table(name, columns, _rows(frame, columns, name))


def _rows(
    frame: "pd.DataFrame", columns: tuple[str, ...], name: str
) -> Iterator[Row]:
    from pandas import isna

    def cell(value: object) -> str:
        if isinstance(value, bool):
            # As pandas writes it.
            return str(value)
        # Lists have no answer of their own.
        return "" if isna(value) is True else as_text(value)

    values = frame.itertuples(index=False, name=None)
    for number, row in enumerate(values):
        cells = map(cell, row)
        yield Row(name, number, dict(zip(columns, cells, strict=True)))


def as_source(
    data: object, name: str, options: ReadOptions, *, labelled: bool
) -> Sequence[str] | FrameSource:
    """Returns data as `open_tables` takes it.

    Args:
        data: a path, several, a DataFrame, texts, or texts and their labels.
        name: of a frame, in messages.
        options: name the columns of a frame that is made of sequences.
        labelled: whether two sequences are texts and their labels, and not two
            texts; a sequence of strings then is of paths.

    Raises:
        InputError: it is empty, or not of texts.
    """
    if hasattr(data, "itertuples"):
        return FrameSource(name, data)
    if isinstance(data, str | os.PathLike):
        return (os.fspath(data),)
    data = list(data)
    if not data:
        raise InputError(f"{name} is empty")
    if not labelled:
        return FrameSource(name, of_texts(data, name, options), True)
    if len(data) != 2 or isinstance(data[0], str | os.PathLike):
        return tuple(map(os.fspath, data))
    texts, labels = map(list, data)
    if len(texts) != len(labels):
        raise InputError(
            f"{name}: {len(texts):,} texts and {len(labels):,} labels"
        )
    label = options.label_column or "label"
    frame = of_texts(texts, name, options).assign(**{label: labels})
    return FrameSource(name, frame)


def of_texts(
    texts: Sequence, name: str, options: ReadOptions = ReadOptions()
) -> "pd.DataFrame":
    """Returns texts, or pairs of them, as columns of the names wanted.

    Args:
        texts: strings, or sequences of one or two strings.
        name: of them, in messages.

    Raises:
        InputError: one is no string, or there are more than two a row.
    """
    from pandas import DataFrame

    rows = [
        text if isinstance(text, list | tuple) else [text] for text in texts
    ]
    for number, row in enumerate(rows):
        if len(row) != len(rows[0]) or len(row) > 2:
            raise InputError(
                f"{name}, row {number}: {len(row)} texts; all rows must have "
                "one, or two"
            )
        for text in row:
            if not isinstance(text, str):
                raise InputError(
                    f"{name}, row {number}: {text!r} is no text, but a "
                    f"{type(text).__name__}"
                )
    columns = [options.text_column or "text"]
    if rows and len(rows[0]) == 2:
        columns = [
            options.text_column or "text_a",
            options.text_pair_column or "text_b",
        ]
    return DataFrame(rows, columns=columns)
