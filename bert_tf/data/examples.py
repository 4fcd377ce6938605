"""Converts rows to labelled examples; rejects rows without text or label."""

import re
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
# What nearly equal texts may differ in.
_URL = re.compile(r"https?://\S+|www\.\S+")
_DIGIT = re.compile(r"\d")
_PUNCTUATION = re.compile(r"[^\w\s]|_")


def read_examples(
    patterns: Sequence[str],
    *,
    labelled: bool = True,
    label_type: LabelType | None = None,
    drop_incomplete: bool = False,
    **column_names: str | None,
) -> tuple[pd.DataFrame, Columns]:
    """Reads files into one frame with the columns of FRAME_COLUMNS.

    Args:
        patterns: paths and globs; every file must have the columns of the
            first.
        labelled: whether a label column is needed.
        label_type: says which labels are missing ones, and whether they may
            be; None takes empty ones for that.
        drop_incomplete: leave out rows without text or label, and say how
            many, where they are else refused.
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
    if columns.label is not None:
        examples["label"] = examples["label"].str.strip()
        missing = label_type.missing if label_type else frozenset()
        is_missing = examples["label"].str.lower().isin(missing)
        examples.loc[is_missing, "label"] = ""
    may_be_empty = label_type is not None and label_type.may_be_empty
    is_empty = _find_empty(examples, columns, labels_may_be_empty=may_be_empty)
    if not drop_incomplete:
        _check_filled(examples, columns, is_empty)
    dropped = np.any(list(is_empty.values()), axis=0)
    if dropped.all():
        raise InputError(f"{patterns[0]}: no row has both text and label")
    if dropped.any():
        logging.warning(
            "%d of %d rows have no text or no label and are left out (lines "
            "%s).",
            dropped.sum(),
            len(examples),
            list_some(list(examples["line"][dropped])),
        )
        examples = examples[~dropped].reset_index(drop=True)
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
    examples, _ = read_examples(patterns, label_type=label_type, **column_names)
    # What is a number may be written in another way here: 0.0 for 0.
    names = label_type.unified(
        [examples["label"], pd.Series(class_names, dtype=object)],
        merge_case=None,
    )
    to_known = {names.get(name, name): name for name in class_names}
    named = [names.get(label, label) for label in examples["label"]]
    examples["label"] = [to_known.get(name, name) for name in named]
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


def group_keys(examples: pd.DataFrame, field: str) -> pd.Series:
    """Returns what examples share that are to be on one side of a split.

    Args:
        field: of pairs, the text that many share: `text` or `text_pair`.
    """
    if not len(examples) or examples["text_pair"].iloc[0] is None:
        return text_keys(examples)
    return examples[field].map(_folded)


def near_keys(keys: pd.Series) -> pd.Series:
    """Returns what texts share that differ in little that tells them apart.

    Case, white space, punctuation, addresses and digits are masked.

    Args:
        keys: the texts' `text_keys`.
    """

    def mask(key: str) -> str:
        return _PUNCTUATION.sub(" ", _DIGIT.sub("0", _URL.sub(" ", key)))

    return keys.map(mask).map(_folded)


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


_WANTED = {
    "text": ("an empty text", "remove or fill them"),
    "text_pair": ("an empty second text", "remove or fill them"),
    "label": (
        "no label",
        "remove or label them (nan, None and the like count as none)",
    ),
}


def _find_empty(
    examples: pd.DataFrame, columns: Columns, *, labels_may_be_empty: bool
) -> dict[str, np.ndarray]:
    """Returns for each field that is needed which rows lack it <bool>[rows]."""
    return {
        field: np.array([not text.strip() for text in examples[field]])
        for field in _WANTED
        if getattr(columns, field) is not None
        and not (field == "label" and labels_may_be_empty)
    }


def _check_filled(
    examples: pd.DataFrame, columns: Columns, is_empty: dict[str, np.ndarray]
) -> None:
    for field, mask in is_empty.items():
        what, todo = _WANTED[field]
        for path, rows in examples[mask].groupby("path", sort=False):
            total = int((examples["path"] == path).sum())
            raise InputError(
                f"{len(rows):,} of {total:,} rows of {path} have {what} in "
                f'column "{getattr(columns, field)}" (lines '
                f"{list_some(list(rows['line']))}); {todo}, or pass "
                "--drop_incomplete to leave them out"
            )
