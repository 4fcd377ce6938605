"""Finds the text, text pair, label and id columns of a file."""

import dataclasses
from collections.abc import Iterator, Sequence

from bert_tf.data.readers import registry
from bert_tf.data.readers.table import Table
from bert_tf.errors import InputError, did_you_mean

# Names that public data sets use, the most telling first.
_TEXT_NAMES = (
    "text", "sentence", "content", "tweet", "review", "comment", "message",
    "question", "query", "utterance", "body", "document", "abstract",
    "headline", "title",
)  # fmt: skip
_PAIR_NAMES = (
    ("text_a", "text_b"),
    ("text", "text_pair"),
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("question", "context"),
)
_LABEL_NAMES = (
    "label", "labels", "target", "class", "category", "sentiment", "intent",
    "topic", "answers",
)  # fmt: skip
_ID_NAMES = ("id", "idx", "guid", "index")


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

    def names(self) -> dict[str, str | None]:
        """Returns text and label columns as `choose_columns` takes them."""
        return {
            "text_column": self.text,
            "text_pair_column": self.text_pair,
            "label_column": self.label,
        }

    @property
    def texts(self) -> list[str]:
        """The text column, or both of a pair."""
        return [name for name in (self.text, self.text_pair) if name]


def open_tables(
    patterns: Sequence[str],
    *,
    file_format: str | None = None,
    labelled: bool = True,
    **column_names: str | None,
) -> Iterator[tuple[Table, Columns]]:
    """Opens files one after the other, and chooses the columns of each.

    Args:
        labelled: whether a label column is needed; every file must then have
            the columns of the first.

    Raises:
        InputError: as of `open_table` and `choose_columns`.
    """
    for path in registry.expand_paths(patterns):
        table = registry.open_table(path, file_format)
        columns = choose_columns(
            table.columns, path=table.path, labelled=labelled, **column_names
        )
        if labelled:
            column_names = {**columns.names(), "id_column": columns.id}
        yield table, columns


def choose_columns(
    columns: Sequence[str],
    *,
    path: str,
    text_column: str | None = None,
    text_pair_column: str | None = None,
    label_column: str | None = None,
    id_column: str | None = None,
    labelled: bool = True,
) -> Columns:
    """Takes the named columns and finds those not named by common names.

    A pair is only found where neither text column is named.

    Raises:
        InputError: a named column is missing, or none can be found.
    """
    text, text_pair = text_column, text_pair_column
    if text is None and text_pair is None:
        text, text_pair = _find_pair(columns)
    text = text or _find(columns, _TEXT_NAMES)
    label = label_column or _find(columns, _LABEL_NAMES)
    if text is None and label is not None and len(columns) == 2:
        text = next(column for column in columns if column != label)
    wanted = {
        "text_column": text,
        "text_pair_column": text_pair,
        "label_column": label if labelled else None,
        "id_column": id_column or _find(columns, _ID_NAMES),
    }
    if labelled or text is None:
        _check_delimiter(columns, path, labelled)
    for flag, column in wanted.items():
        if column is not None and column not in columns:
            raise InputError(
                f'{path} has no column "{column}"; it has: '
                f"{', '.join(columns)}."
                + did_you_mean(column, columns, prefix=f"--{flag}=")
            )
    for flag in ("text_column", "label_column")[: 2 if labelled else 1]:
        if wanted[flag] is None:
            raise InputError(
                f"{path}: no column has one of the usual names for the "
                f"{flag.removesuffix('_column')}; it has: "
                f"{', '.join(columns)}. Name one with --{flag} (is the first "
                "line a header?)"
            )
    chosen = Columns(
        text, text_pair, wanted["label_column"], wanted["id_column"]
    )
    _check_distinct(chosen, path)
    return chosen


def _find(columns: Sequence[str], names: Sequence[str]) -> str | None:
    by_lower = {column.lower(): column for column in reversed(columns)}
    return next((by_lower[name] for name in names if name in by_lower), None)


def _find_pair(columns: Sequence[str]) -> tuple[str | None, str | None]:
    for names in _PAIR_NAMES:
        first, second = (_find(columns, [name]) for name in names)
        if first and second:
            return first, second
    return None, None


def _check_delimiter(columns: Sequence[str], path: str, labelled: bool) -> None:
    if len(columns) > 1:
        return
    for delimiter, name in ((";", "semicolon"), ("\t", "tab"), (",", "comma")):
        if delimiter in columns[0]:
            raise InputError(
                f'{path} has one column, named "{columns[0]}": its fields '
                f"seem to be separated by {name}s, which its suffix does not "
                "say. CSV means commas, TSV means tabs"
            )
    if labelled:
        raise InputError(
            f'{path} has only one column, "{columns[0]}"; a text and a label '
            "are needed"
        )


def _check_distinct(columns: Columns, path: str) -> None:
    used = [c for c in (columns.text, columns.text_pair, columns.label) if c]
    if len(set(used)) < len(used):
        raise InputError(
            f"{path}: the same column is named twice ({', '.join(used)})"
        )
