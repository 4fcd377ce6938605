"""Parquet files, with pyarrow."""

from collections.abc import Iterator

from bert_tf import files
from bert_tf.config.read_options import ReadOptions
from bert_tf.data.readers.table import Row, Table, as_text
from bert_tf.errors import InputError

# Rows that are Python's at a time.
_BATCH_ROWS = 1_000


def read(path: str, name: str, options: ReadOptions) -> Table:
    """Returns the rows of a Parquet file; their line is their number."""
    del options
    from pyarrow import parquet

    file = files.open_file(path, "rb")
    try:
        table = parquet.ParquetFile(file, pre_buffer=False)
        columns = tuple(table.schema_arrow.names)
    except (OSError, ValueError) as error:
        raise _damage(name, error) from None
    return Table(name, columns, _rows(table, name))


def _rows(table, name: str) -> Iterator[Row]:
    number = 0
    try:
        for batch in table.iter_batches(_BATCH_ROWS, use_threads=False):
            for record in batch.to_pylist():
                number += 1
                fields = {key: as_text(record[key]) for key in record}
                yield Row(name, number, fields)
    except (OSError, ValueError, NotImplementedError) as error:
        raise _damage(name, error) from None
    finally:
        table.close(force=True)


def _damage(name: str, error: Exception) -> InputError:
    # pyarrow's own errors are of these kinds.
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InputError(f"{name} cannot be read as Parquet: {reason}")
