"""What every reader returns: column names and an iterator over rows."""

import dataclasses
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Self

from absl import logging

from bert_tf.config.read_options import ReadOptions
from bert_tf.errors import InputError, list_some, place


@dataclasses.dataclass(frozen=True)
class Row:
    """One record: where it starts and its fields by column name."""

    path: str
    line: int
    fields: dict[str, str]

    def field(self, column: str, *, missing: str | None = None) -> str:
        """Returns a field, or the fields of "a,b" with a space between.

        Args:
            column: its name.
            missing: what a field is that the record lacks.

        Raises:
            InputError: the record has no such field, and nothing is given for
                it.
        """
        if column in self.fields:
            return self.fields[column]
        parts = column.split(",")
        if len(parts) > 1:
            texts = [self.field(part, missing=missing) for part in parts]
            return " ".join(text for text in texts if text.strip())
        if missing is not None:
            return missing
        raise InputError(
            f'{place(self.path, self.line)}: no field "{column}", which '
            "the first row has; every row needs it"
        )


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

    @classmethod
    def from_fields(
        cls,
        records: Iterator[tuple[int, list[str]]],
        path: str,
        options: ReadOptions,
    ) -> Self:
        """Returns a table whose first record has the column names.

        Columns without a name are left out: the index that pandas writes, and
        what spreadsheets leave at the end of a row.

        Args:
            records: the line of each, and its fields.
            options: say where else the names are.

        Raises:
            InputError: there is no record, or a name is there twice. Later, a
                row has more or fewer fields than there are columns.
        """
        first = next(records, None)
        if first is None or not first[1]:
            raise InputError(f"{path} is empty")
        header = [name.strip() for name in first[1]]
        if not options.header:
            records = itertools.chain([first], records)
            header = [str(number) for number in range(1, len(header) + 1)]
        if options.column_names:
            if len(options.column_names) != len(header):
                raise InputError(
                    f"{path} has {len(header)} columns, --column_names has "
                    f"{len(options.column_names)}"
                )
            header = list(options.column_names)
        columns = tuple(name for name in header if name)
        if not columns:
            raise InputError(
                f"{path}: the first line has no column names; pass --noheader "
                "and --column_names"
            )
        check_distinct(
            columns,
            path,
            remedy="; rename one, or name all with --column_names",
        )
        if len(columns) < len(header):
            numbers = [n for n, name in enumerate(header, 1) if not name]
            logging.info(
                "%s: columns without a name are left out: %s.",
                path,
                list_some(numbers),
            )
        return cls(path, columns, _named_rows(records, path, header))


def check_distinct(
    columns: Sequence[str], path: str, *, remedy: str = ""
) -> None:
    """Raises InputError where two columns have one name."""
    for column in columns:
        if columns.count(column) > 1:
            raise InputError(f'{path} has two columns named "{column}"{remedy}')


def with_class_names(
    fields: dict[str, object], names_of: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Returns a record as text, class ids by their names.

    Args:
        fields: values by column.
        names_of: of some columns, what the classes 0, 1, ... are called; -1 is
            that of a row without label.
    """

    def named(label: object, names: Sequence[str]) -> object:
        if isinstance(label, list):
            return [named(one, names) for one in label]
        is_known = isinstance(label, int) and 0 <= label < len(names)
        return names[label] if is_known else ""

    return {
        column: as_text(
            named(value, names_of[column]) if column in names_of else value
        )
        for column, value in fields.items()
    }


def as_text(value: object) -> str:
    """Returns a cell as text: lists and objects as JSON, none as ""."""
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, bool | int | float | list | dict):
        return json.dumps(value, default=str)
    # Dates and decimals.
    return str(value)


def _named_rows(
    records: Iterator[tuple[int, list[str]]], path: str, header: Sequence[str]
) -> Iterator[Row]:
    kept = [number for number, name in enumerate(header) if name]
    # After the last name nothing has to be there.
    fewest = kept[-1] + 1
    beyond = []
    for line, record in records:
        count = len(record)
        if count == 1 < len(header) and not record[0].strip():
            # A line of spaces.
            continue
        if count != len(header) and (
            count < fewest or any(record[len(header) :])
        ):
            names = [name for name in header if name]
            raise InputError(
                f"{path}, line {line}: {count} fields where the header "
                f"has {len(header)} ({', '.join(names)}); a text that "
                "holds the delimiter must stand in double quotes"
                + (
                    ", unless each line is one text: --delimiter=tab"
                    if len(header) == 1
                    else ", and another delimiter is named by --delimiter"
                )
            )
        if any(record[fewest:]):
            beyond.append(line)
        yield Row(path, line, {header[i]: record[i] for i in kept})
    if beyond:
        logging.warning(
            "%s: %d rows go on in columns without a name, which are left out "
            "(lines %s): texts that hold the delimiter, as a rule. To keep "
            "them name all with --column_names and join them with "
            "--text_column.",
            path,
            len(beyond),
            list_some(beyond),
        )


def _whole_characters(rows: Iterator[Row]) -> Iterator[Row]:
    """Refuses halves of characters, which JSON can hold and UTF-8 cannot."""
    for row in rows:
        for column, text in row.fields.items():
            try:
                text.encode()
            except UnicodeEncodeError as error:
                half = ascii(text[error.start])
                raise InputError(
                    f'{place(row.path, row.line)}: "{column}" holds {half}, '
                    "half of a character that was cut in two (an emoji, as a "
                    "rule); delete it"
                ) from None
        yield row
