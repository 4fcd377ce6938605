"""Parquet files, with pyarrow."""

import json
from collections.abc import Iterator

from bert_tf import files
from bert_tf.config.read_options import ReadOptions
from bert_tf.data.readers.table import (
    Row,
    Table,
    check_distinct,
    with_class_names,
)
from bert_tf.errors import InputError

# The key of the schema's metadata.
_FEATURES = b"huggingface"
# Rows that are Python's at a time.
_BATCH_ROWS = 1_000


def read(path: str, name: str, options: ReadOptions) -> Table:
    """Returns the rows of a Parquet file; their line is their number."""
    del options
    from pyarrow import parquet

    file = files.open_file(path, "rb")
    try:
        table = parquet.ParquetFile(file, pre_buffer=False)
        schema = table.schema_arrow
    except (OSError, ValueError) as error:
        raise _damage(name, error) from None
    columns = tuple(schema.names)
    check_distinct(columns, name)
    names_of = _class_names((schema.metadata or {}).get(_FEATURES, b"{}"))
    return Table(name, columns, _rows(table, name, names_of))


def _class_names(metadata: bytes) -> dict[str, list[str]]:
    """Returns what the `datasets` package notes of columns of classes."""
    try:
        features = json.loads(metadata)["info"]["features"]
        return {
            column: [str(name) for name in feature["names"]]
            for column, feature in features.items()
            if feature.get("_type") == "ClassLabel"
        }
    except (ValueError, LookupError, TypeError, AttributeError):
        return {}


def _rows(table, name: str, names_of: dict[str, list[str]]) -> Iterator[Row]:
    number, count = 0, table.metadata.num_rows
    try:
        for batch in table.iter_batches(_BATCH_ROWS, use_threads=False):
            for record in batch.to_pylist():
                number += 1
                yield Row(name, number, with_class_names(record, names_of))
    except (OSError, ValueError, NotImplementedError, OverflowError) as error:
        raise _damage(name, error) from None
    finally:
        table.close(force=True)
    if number != count:
        raise InputError(f"{name} says that it has {count} rows, not {number}")


def _damage(name: str, error: Exception) -> InputError:
    # pyarrow's own errors are of these kinds.
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InputError(f"{name} cannot be read as Parquet: {reason}")
