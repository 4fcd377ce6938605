"""Converts rows to labelled examples; rejects rows without text or label."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from absl import logging

from bert_tf.data.columns import Columns, open_tables
from bert_tf.data.label_types import LabelType
from bert_tf.data.readers.table import Table
from bert_tf.errors import InputError, list_some

# The columns of every examples frame; text_pair and label are None throughout
# where the files have none.
FRAME_COLUMNS = ("path", "line", "id", "text", "text_pair", "label")


def read_examples(
    patterns: Sequence[str],
    *,
    labelled: bool = True,
    labels_may_be_empty: bool = False,
    **column_names: str | None,
) -> tuple[pd.DataFrame, Columns]:
    """Reads files into one frame with the columns of FRAME_COLUMNS.

    Args:
        patterns: paths and globs; every file must have the columns of the
            first.
        labelled: whether a label column is needed.
        labels_may_be_empty: whether it may be so in some rows.
        **column_names: text_column, text_pair_column, label_column, id_column
            where the caller knows them.

    Raises:
        InputError: see `readers` and `columns`; also for empty texts and
            missing labels, all of which are named by line.
    """
    columns: Columns | None = None
    records: list[tuple] = []
    for table, columns in open_tables(
        patterns, labelled=labelled, **column_names
    ):
        before = len(records)
        records.extend(_records(table, columns))
        if len(records) == before:
            raise InputError(f"{table.path} has a header and no rows below it")
        logging.info("%s: %s", table.path, columns.describe())
    examples = pd.DataFrame.from_records(records, columns=list(FRAME_COLUMNS))
    _check_filled(examples, columns, labels_may_be_empty)
    return examples, columns


def check_files(
    patterns: Sequence[str],
    *,
    labelled: bool = True,
    **column_names: str | None,
) -> None:
    """Raises InputError where a file is missing, empty or lacks a column."""
    for _ in open_tables(patterns, labelled=labelled, **column_names):
        pass


def read_labelled(
    patterns: Sequence[str],
    label_type: LabelType,
    class_names: Sequence[str],
    **column_names: str | None,
) -> pd.DataFrame:
    """Reads labelled files for a model that knows certain classes.

    Raises:
        InputError: as of `read_examples`; or a label is not the model's.
    """
    examples, _ = read_examples(
        patterns, labels_may_be_empty=label_type.may_be_empty, **column_names
    )
    label_type.check(examples, class_names)
    return examples


def sample(
    examples: pd.DataFrame, count: int | None, *, seed: int
) -> pd.DataFrame:
    """Returns a random part of the rows, in their order, or all for None."""
    if count is None or count >= len(examples):
        return examples
    return examples.sample(count, random_state=seed).sort_index()


def utf8(texts: Sequence[str]) -> np.ndarray:
    """Returns texts as bytes <object>[rows], as TensorFlow takes them.

    Arguments of a command line may hold lone surrogates, which are left out.
    """
    return np.array([text.encode("utf-8", "ignore") for text in texts], object)


def segments(examples: pd.DataFrame) -> tuple[list[str], ...]:
    """Returns the texts as one list, or two for pairs."""
    if len(examples) and examples["text_pair"].iloc[0] is not None:
        return list(examples["text"]), list(examples["text_pair"])
    return (list(examples["text"]),)


def text_keys(examples: pd.DataFrame) -> pd.Series:
    """Returns what two examples share if their texts count as equal.

    Case and white space are ignored, so that a text and its retweet in
    capitals do not end up on both sides of a split.
    """
    pairs = examples["text_pair"].map(lambda text: text or "")
    return pd.Series(
        [
            f"{_folded(text)}\n{_folded(pair)}"
            for text, pair in zip(examples["text"], pairs, strict=True)
        ],
        index=examples.index,
        dtype=object,
    )


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def _records(table: Table, columns: Columns) -> Iterator[tuple]:
    for row in table.rows:
        yield (
            row.path,
            row.line,
            *(
                column and row.field(column)
                for column in (
                    columns.id, columns.text, columns.text_pair, columns.label,
                )
            ),
        )  # fmt: skip


def _check_filled(
    examples: pd.DataFrame, columns: Columns, labels_may_be_empty: bool
) -> None:
    for field, what, todo in (
        ("text", "an empty text", "remove or fill them"),
        ("text_pair", "an empty second text", "remove or fill them"),
        ("label", "no label", "remove or label them"),
    ):
        if getattr(columns, field) is None:
            continue
        if field == "label" and labels_may_be_empty:
            continue
        empty = examples[[not text.strip() for text in examples[field]]]
        for path, rows in empty.groupby("path", sort=False):
            total = int((examples["path"] == path).sum())
            raise InputError(
                f"{len(rows):,} of {total:,} rows of {path} have {what} in "
                f'column "{getattr(columns, field)}" (lines '
                f"{list_some(list(rows['line']))}); {todo}"
            )
