"""What every reader returns: column names and an iterator over rows."""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Self

from bert_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class Row:
    """One record: where it starts and its fields by column name."""

    path: str
    line: int
    fields: dict[str, str]

    def field(self, column: str) -> str:
        """Returns a field; raises InputError where the record has none."""
        if column not in self.fields:
            raise InputError(
                f'{self.path}, line {self.line}: no field "{column}", which '
                "the first row has; every row needs it"
            )
        return self.fields[column]


@dataclasses.dataclass(frozen=True)
class Table:
    """One file's column names and an iterator over its rows."""

    path: str
    columns: tuple[str, ...]
    rows: Iterator[Row]

    @classmethod
    def from_records(
        cls, records: Iterator[tuple[int, dict[str, str]]], path: str
    ) -> Self:
        """Returns a table with the columns of the first record.

        Args:
            records: the line of each, and its fields.

        Raises:
            InputError: there is no record, or half a character in the first.
        """
        rows = _whole_characters(Row(path, *record) for record in records)
        first = next(rows, None)
        if first is None:
            raise InputError(f"{path} has no rows")
        return cls(path, tuple(first.fields), itertools.chain([first], rows))


def _whole_characters(rows: Iterator[Row]) -> Iterator[Row]:
    """Refuses halves of characters, which JSON can hold and UTF-8 cannot."""
    for row in rows:
        for column, text in row.fields.items():
            try:
                text.encode()
            except UnicodeEncodeError as error:
                half = ascii(text[error.start])
                raise InputError(
                    f'{row.path}, line {row.line}: "{column}" holds {half}, '
                    "half of a character that was cut in two (an emoji, as a "
                    "rule); delete it"
                ) from None
        yield row
