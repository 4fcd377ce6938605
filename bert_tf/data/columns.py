"""Finds the text, text pair, label and id columns of a file."""

import dataclasses
import itertools
import re
from collections.abc import Iterator, Sequence

from bert_tf.config.read_options import ReadOptions
from bert_tf.data.readers import frames, registry, text_files
from bert_tf.data.readers.delimited import DELIMITERS
from bert_tf.data.readers.frames import FrameSource
from bert_tf.data.readers.table import Row, Table
from bert_tf.errors import InputError, did_you_mean

# Paths and globs, or a frame in place of them.
Source = Sequence[str] | FrameSource

# Names that public data sets use, the most telling first; case, spaces and
# underscores do not count.
_TEXT_NAMES = (
    "text", "sentence", "content", "tweet", "tweettext", "review",
    "reviewtext", "reviewbody", "comment", "commenttext", "message", "sms",
    "originaltweet", "phrase", "question", "questiontext", "query",
    "utterance", "body", "post", "posts", "document", "article",
    "statement", "abstract", "headline",
    "shortdescription", "description", "summary", "title", "subject", "v2",
)  # fmt: skip
_PAIR_NAMES = (
    ("texta", "textb"),
    ("text", "textpair"),
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("question", "context"),
)
_LABEL_NAMES = (
    "label", "labels", "goldlabel", "target", "class", "classindex", "category",
    "sentiment", "airlinesentiment", "intent", "topic", "emotion", "polarity",
    "answers", "isspam", "isduplicate", "issarcastic", "type", "rating",
    "stars", "overall", "score", "subject", "v1",
)  # fmt: skip
_ID_NAMES = ("id", "idx", "guid", "index")
# What an unused column holds on average, in words, that may be text.
_WORDS_OF_TEXT = 4
_SAMPLE_ROWS = 50


@dataclasses.dataclass(frozen=True)
class Columns:
    """Column names; None where a file has no such column."""

    text: str
    text_pair: str | None = None
    label: str | None = None
    id: str | None = None

    def describe(self) -> str:
        """Says the choice in one line, for the log."""
        parts = [f"text from {self.text!r}"]
        if self.text_pair:
            parts.append(f"second text from {self.text_pair!r}")
        if self.label:
            parts.append(f"label from {self.label!r}")
        if self.id:
            parts.append(f"id from {self.id!r}")
        return ", ".join(parts)

    def flags(self) -> dict[str, str | None]:
        """Returns the columns by the names of their flags."""
        return {
            "text_column": self.text,
            "text_pair_column": self.text_pair,
            "label_column": self.label,
            "id_column": self.id,
        }

    @property
    def texts(self) -> list[str]:
        """The text column, or both of a pair."""
        return [name for name in (self.text, self.text_pair) if name]


def open_tables(
    source: Source,
    options: ReadOptions = ReadOptions(),
    *,
    labelled: bool = True,
) -> Iterator[tuple[Table, Columns]]:
    """Opens files one after the other, and chooses the columns of each.

    Args:
        source: paths and globs, or a frame; .txt files in several folders, one
            a class, are one table, with a row for each.
        options: how to read them.
        labelled: whether a label column is needed; every file must then have
            the id column of the first as well as its other ones.

    Raises:
        InputError: as of `open_table` and `choose_columns`.
    """
    for table in _tables(source, options, labelled=labelled):
        columns = choose_columns(
            table.columns, options, path=table.path, labelled=labelled
        )
        kept = columns.flags()
        if not labelled:
            del kept["id_column"]
        options = dataclasses.replace(options, **kept)
        yield table, columns


def _tables(
    source: Source, options: ReadOptions, *, labelled: bool
) -> Iterator[Table]:
    if isinstance(source, FrameSource):
        yield frames.read(source)
        return
    paths = registry.expand_paths(source)
    if text_files.are_of_classes(paths):
        yield text_files.read_class_files(paths, ",".join(source), options)
        return
    for path in paths:
        yield registry.open_table(path, options, labelled=labelled)


def choose_columns(
    columns: Sequence[str],
    options: ReadOptions = ReadOptions(),
    *,
    path: str,
    labelled: bool = True,
) -> Columns:
    """Takes the named columns and finds those not named by common names.

    A pair is only found where neither text column is named.

    Raises:
        InputError: a named column is missing, or none can be found.
    """
    if not columns:
        raise InputError(f"{path}: the first row has no fields")
    text, text_pair = options.text_column, options.text_pair_column
    if text is None and text_pair is None:
        text, text_pair = _find_pair(columns)
    text = text or _find(columns, _TEXT_NAMES)
    taken = _parts(text) | _parts(text_pair)
    others = [name for name in columns if name not in taken]
    label = options.label_column or _find(others, _LABEL_NAMES)
    if text is None and label is not None and len(columns) == 2:
        text = next(column for column in columns if column != label)
    wanted = {
        "text_column": text,
        "text_pair_column": text_pair,
        "label_column": label if labelled else None,
        "id_column": options.id_column or _find(columns, _ID_NAMES),
    }
    if labelled or text is None:
        _check_delimiter(columns, path, labelled)
    for flag, column in wanted.items():
        if column is not None:
            _check_there(column, columns, path=path, flag=flag)
    missing = [
        name
        for name in ("text", "label")[: 2 if labelled else 1]
        if wanted[f"{name}_column"] is None
    ]
    if missing:
        flags = " and ".join(f"--{name}_column" for name in missing)
        remedy = (
            f"Name {'them' if missing[1:] else 'one'} with {flags}, or all, "
            "where the first line is no header, with --noheader "
            f"--column_names={_guessed_names(columns)}"
        )
        if missing == ["label"]:
            remedy += "; pipelines.predict labels texts that have none"
        raise InputError(
            f"{path}: no column has one of the usual names for the "
            f"{' or the '.join(missing)}; it has: {', '.join(columns)}. "
            f"{remedy}"
        )
    chosen = Columns(
        text, text_pair, wanted["label_column"], wanted["id_column"]
    )
    _check_distinct(chosen, path)
    return chosen


def mention_other_texts(table: Table, columns: Columns) -> tuple[Table, str]:
    """Looks for columns that are not used and hold text.

    Returns:
        The table, with all of its rows; and what to tell of such columns, ""
        where there is nothing.
    """
    sample = list(itertools.islice(table.rows, _SAMPLE_ROWS))
    used = set().union(*map(_parts, columns.flags().values()))
    others = [
        name
        for name in table.columns
        if name not in used and _words(sample, name) >= _WORDS_OF_TEXT
    ]
    rows = itertools.chain(sample, table.rows)
    hint = ""
    if others:
        names = ", ".join(map(repr, others))
        joined = ",".join([columns.text, *others])
        hint = f"; not used: {names} (to join: --text_column={joined})"
    return dataclasses.replace(table, rows=rows), hint


def _words(rows: Sequence[Row], column: str) -> float:
    """Returns the words of a field on average; 0 where most are the same."""
    texts = [row.fields.get(column, "") for row in rows]
    if len(set(texts)) <= len(texts) / 2:
        return 0.0
    return sum(len(text.split()) for text in texts) / len(texts)


def _parts(column: str | None) -> set[str]:
    """Returns a column, and those that "a,b" joins."""
    return {column, *column.split(",")} if column else set()


def _check_there(
    column: str, columns: Sequence[str], *, path: str, flag: str
) -> None:
    parts = column.split(",")
    if column in columns or (len(parts) > 1 and set(parts) <= set(columns)):
        return
    raise InputError(
        f'{path} has no column "{column}"; it has: {", ".join(columns)}.'
        + did_you_mean(column, columns, prefix=f"--{flag}=")
    )


def _find(columns: Sequence[str], names: Sequence[str]) -> str | None:
    by_key = {
        re.sub(r"[\W_]+", "", column).lower(): column
        for column in reversed(columns)
    }
    return next((by_key[name] for name in names if name in by_key), None)


def _find_pair(columns: Sequence[str]) -> tuple[str | None, str | None]:
    for names in _PAIR_NAMES:
        first, second = (_find(columns, [name]) for name in names)
        if first and second:
            return first, second
    return None, None


def _guessed_names(first_row: Sequence[str]) -> str:
    """Returns names in the order of the columns: the longest cell is a text."""
    text = max(range(len(first_row)), key=lambda i: len(first_row[i]))
    names = [f"other{i}" for i in range(1, len(first_row) + 1)]
    names[text] = "text"
    label = len(names) - 1 if text != len(names) - 1 else 0
    names[label] = "label"
    return ",".join(names)


def _check_delimiter(columns: Sequence[str], path: str, labelled: bool) -> None:
    if len(columns) > 1:
        return
    for delimiter, name in DELIMITERS.items():
        if delimiter in columns[0]:
            raise InputError(
                f'{path} has one column, named "{columns[0]}": its fields '
                f"seem to be separated by {name}s, but not all rows have as "
                f"many; pass --delimiter={name} to be told which"
            )
    if labelled:
        raise InputError(
            f'{path} has only one column, "{columns[0]}"; a text and a label '
            "are needed. Another separator than , ; | and tab is named by "
            "--delimiter"
        )


def _check_distinct(columns: Columns, path: str) -> None:
    used = [
        part
        for column in (columns.text, columns.text_pair, columns.label)
        for part in _parts(column)
    ]
    if len(set(used)) < len(used):
        raise InputError(
            f"{path}: the same column is named twice ({', '.join(used)})"
        )
