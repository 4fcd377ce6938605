"""Converts rows to labelled examples; rejects rows without text or label."""

import re
from collections.abc import Iterator, Sequence
from typing import NoReturn

import numpy as np
import pandas as pd
from absl import logging

from bert_tf.config.read_options import ReadOptions
from bert_tf.data.columns import (
    Columns,
    Source,
    mention_other_texts,
    open_tables,
)
from bert_tf.data.label_types import LabelType
from bert_tf.data.readers.table import Table
from bert_tf.errors import InputError, list_some, place, unit

# The columns of every examples frame; text_pair and label are None throughout
# where the files have none.
FRAME_COLUMNS = ("path", "line", "id", "text", "text_pair", "label")
_SNLI_LABEL = "gold_label"
# What a row may lack.
_REASONS = {
    "text": "an empty text",
    "text_pair": "an empty second text",
    "label": "no label",
}
# What nearly equal texts may differ in.
_URL = re.compile(r"https?://\S+|www\.\S+")
_DIGIT = re.compile(r"\d")
_PUNCTUATION = re.compile(r"[^\w\s]|_")


def read_examples(
    source: Source,
    options: ReadOptions = ReadOptions(),
    *,
    labelled: bool = True,
    label_type: LabelType | None = None,
    drop_incomplete: bool = False,
) -> tuple[pd.DataFrame, Columns]:
    """Reads files, or a frame, into one with the columns of FRAME_COLUMNS.

    Args:
        source: paths and globs, or a frame; every file must have the columns
            of the first.
        options: how to read them.
        labelled: whether a label column is needed.
        label_type: says which labels are missing ones, and whether they may
            be; None takes empty ones for that.
        drop_incomplete: leave out rows without text or label, and say how
            many, where they are else refused.

    Raises:
        InputError: see `readers` and `columns`; also for empty texts and
            missing labels, all of which are named by line.
    """
    rows, incomplete, columns = read_rows(
        source, options, labelled=labelled, label_type=label_type
    )
    check_complete(rows, incomplete, columns, drop_incomplete=drop_incomplete)
    return rows, columns


def read_rows(
    source: Source,
    options: ReadOptions = ReadOptions(),
    *,
    labelled: bool = True,
    label_type: LabelType | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, Columns]:
    """Reads as `read_examples` does, and refuses no row.

    Returns:
        The rows that have what is needed; those that do not, with a column
        `reason` beside the others; and where they were found.
    """
    columns: Columns | None = None
    records: list[tuple] = []
    for table, columns in open_tables(source, options, labelled=labelled):
        table, hint = mention_other_texts(table, columns)
        before = len(records)
        records.extend(_records(table, columns))
        if len(records) == before:
            raise InputError(f"{table.path} has a header and no rows below it")
        if not getattr(source, "is_of_texts", False):
            logging.info("%s: %s%s", table.path, columns.describe(), hint)
    examples = pd.DataFrame.from_records(records, columns=list(FRAME_COLUMNS))
    if columns.label is not None:
        examples["label"] = examples["label"].str.strip()
        missing = label_type.missing if label_type else frozenset()
        if columns.label == _SNLI_LABEL:
            # People did not agree.
            missing = {*missing, "-"}
        is_missing = examples["label"].str.lower().isin(missing)
        examples.loc[is_missing, "label"] = ""
        if columns.label in set(examples["label"]):
            logging.warning(
                'The label "%s" is also the name of its column: if the first '
                "line is a row, pass --noheader --column_names=label,text.",
                columns.label,
            )
        if options.label_names:
            examples["label"] = _named_labels(examples, options.label_names)
    may_be_empty = label_type is not None and label_type.may_be_empty
    reasons = np.full(len(examples), "", object)
    for field, reason in _REASONS.items():
        if getattr(columns, field) is None or (
            field == "label" and may_be_empty
        ):
            continue
        is_empty = [not text.strip() for text in examples[field]]
        reasons[(reasons == "") & is_empty] = reason
    incomplete = reasons != ""
    if not incomplete.any():
        return examples, examples[:0].assign(reason=""), columns
    return (
        examples[~incomplete].reset_index(drop=True),
        examples[incomplete].assign(reason=reasons[incomplete]),
        columns,
    )


def check_complete(
    rows: pd.DataFrame,
    incomplete: pd.DataFrame,
    columns: Columns,
    *,
    drop_incomplete: bool,
) -> None:
    """Refuses what `read_rows` found incomplete, or says that it is left out.

    Raises:
        InputError: there are such rows, or no others.
    """
    if not len(incomplete):
        return
    if not drop_incomplete:
        _refuse(rows, incomplete, columns)
    logging.warning(
        "%d of %d rows have no text or no label and are left out (%ss %s).",
        len(incomplete),
        len(rows) + len(incomplete),
        unit(incomplete["path"].iloc[0]),
        list_some(list(incomplete["line"])),
    )
    if not len(rows):
        path = incomplete["path"].iloc[0]
        raise InputError(f"{path}: no row has both text and label")


def check_files(
    source: Source,
    options: ReadOptions = ReadOptions(),
    *,
    labelled: bool = True,
) -> None:
    """Raises InputError where a file is missing, empty or lacks a column."""
    for _ in open_tables(source, options, labelled=labelled):
        pass


def read_labelled(
    source: Source,
    label_type: LabelType,
    class_names: Sequence[str],
    options: ReadOptions = ReadOptions(),
) -> pd.DataFrame:
    """Reads labelled files for a model that knows certain classes.

    Raises:
        InputError: as of `read_examples`; or a label is not the model's.
    """
    examples, _ = read_examples(source, options, label_type=label_type)
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
                # To be told with the empty ones.
                column and row.field(column, missing="")
                for column in (
                    columns.id, columns.text, columns.text_pair, columns.label,
                )
            ),
        )  # fmt: skip


def _named_labels(examples: pd.DataFrame, names: Sequence[str]) -> pd.Series:
    """Returns the names of the labels 0, 1, ..., see --label_names."""
    by_number = {"": "", **{str(n): name for n, name in enumerate(names)}}
    # Of a file whose numbers have a point.
    labels = examples["label"].str.removesuffix(".0")
    unknown = examples[~labels.isin(by_number)]
    if len(unknown):
        row = unknown.iloc[0]
        raise InputError(
            f'{place(row["path"], row["line"])}: the label "{row["label"]}" is '
            f"not a number from 0 to {len(names) - 1}, which "
            f"--label_names={','.join(names)} names"
        )
    return labels.map(by_number)


def _refuse(
    rows: pd.DataFrame, incomplete: pd.DataFrame, columns: Columns
) -> NoReturn:
    first = incomplete.iloc[0]
    total = sum(
        (frame["path"] == first.path).sum() for frame in (rows, incomplete)
    )
    (field,) = (name for name, why in _REASONS.items() if why == first.reason)
    same = incomplete[
        (incomplete["path"] == first.path)
        & (incomplete["reason"] == first.reason)
    ]
    hint = ""
    if field == "label":
        hint = " (nan, None and the like count as none)"
    raise InputError(
        f"{len(same):,} of {total:,} rows of {first.path} have {first.reason} "
        f'in column "{getattr(columns, field)}" ({unit(first.path)}s '
        f"{list_some(list(same['line']))}){hint}; remove or fill them, or pass "
        "--drop_incomplete to leave them out"
    )
