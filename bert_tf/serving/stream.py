"""Predictions for files of any size: rows in, rows out, in their order."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from bert_tf.data import reading
from bert_tf.data.columns import choose_columns
from bert_tf.errors import InputError
from bert_tf.serving.predictions import PredictionWriter

if TYPE_CHECKING:
    # pipelines.query_server reads files where TensorFlow is not installed.
    from bert_tf.inference.saved_model_predictor import SavedModelPredictor

# Rows that are in memory at a time, and sorted by length among themselves.
_ROWS_AT_A_TIME = 1024

# Ids, then the texts of one or two segments.
Batch = tuple[list[str], tuple[list[str], ...]]


def read_batches(
    patterns: Sequence[str],
    *,
    file_format: str | None = None,
    **column_names: str | None,
) -> Iterator[Batch]:
    """Reads files as batches of ids and texts; rows without id are numbered.

    Raises:
        InputError: as for `open_table` and `choose_columns`.
    """
    number = itertools.count(1)
    for path in reading.expand_paths(patterns):
        table = reading.open_table(path, file_format)
        columns = choose_columns(
            table.columns, path=table.path, labelled=False, **column_names
        )
        names = [name for name in (columns.text, columns.text_pair) if name]
        while rows := list(itertools.islice(table.rows, _ROWS_AT_A_TIME)):
            ids = [
                _field(row, columns.id) if columns.id else str(next(number))
                for row in rows
            ]
            yield (
                ids,
                tuple([_field(row, name) for row in rows] for name in names),
            )


def read_texts(
    patterns: Sequence[str], **kwargs: str | None
) -> tuple[list[str], list[str]]:
    """Reads ids and texts of files at once; arguments as of `read_batches`.

    Raises:
        InputError: as there; or the files hold pairs, or nothing.
    """
    ids: list[str] = []
    texts: list[str] = []
    for some_ids, segments in read_batches(patterns, **kwargs):
        if len(segments) > 1:
            raise InputError(
                "a vector is of one text, and these files hold pairs; name "
                "one with --text_column"
            )
        ids += some_ids
        texts += segments[0]
    if not texts:
        raise InputError("--input_file: there are no texts")
    return ids, texts


def predict(
    load: Callable[[], "SavedModelPredictor"],
    batches: Iterator[Batch],
    file: TextIO,
    *,
    batch_size: int = 64,
) -> int:
    """Writes a prediction for each row and returns their number.

    The model is loaded after the first rows were read, so that a fault in
    the file is told first.
    """
    first = next(batches, None)
    predictor = load()
    writer = PredictionWriter(
        file, predictor.task, has_pairs=predictor.has_pairs
    )
    count = 0
    for ids, segments in itertools.chain([first] if first else [], batches):
        if len(segments) != 1 + predictor.has_pairs:
            raise InputError(
                f"{predictor.path} takes {1 + predictor.has_pairs} texts a "
                f"row, the input has {len(segments)}; see --text_column and "
                "--text_pair_column"
            )
        writer.write(
            ids=ids,
            segments=segments,
            cells=predictor.cells(segments, batch_size=batch_size),
        )
        file.flush()
        count += len(ids)
    return count


def _field(row: reading.Row, column: str) -> str:
    if column not in row.fields:
        raise InputError(
            f'{row.path}, line {row.line}: no field "{column}", which the '
            "first row has; every row needs it"
        )
    return row.fields[column]
