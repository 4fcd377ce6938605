"""JSON lines: one object per line."""

import json
from collections.abc import Iterator

from bert_tf.data.readers.table import Table
from bert_tf.errors import InputError


def read(lines: Iterator[str], name: str) -> Table:
    """Returns a row for each object, with the columns of the first."""
    return Table.from_records(_records(lines, name), name)


def _records(
    lines: Iterator[str], name: str
) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line.rstrip())
        except json.JSONDecodeError as error:
            raise InputError(
                f"{name}, line {number}, column {error.colno}: not JSON "
                f"({error.msg}); every line must be one JSON object"
            ) from None
        if not isinstance(fields, dict):
            raise InputError(
                f"{name}, line {number}: every line must be one JSON object, "
                f'such as {{"text": "...", "label": "..."}}'
            )
        yield number, {key: _as_text(fields[key]) for key in fields}


def _as_text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
