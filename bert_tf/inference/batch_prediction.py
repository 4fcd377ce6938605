"""Predicts files of any size, in constant memory."""

import csv
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from absl import logging

from bert_tf.config.read_options import ReadOptions
from bert_tf.data.columns import open_tables
from bert_tf.errors import InputError, list_some
from bert_tf.inference.submission import Submission
from bert_tf.text import vocabulary

if TYPE_CHECKING:
    # pipelines.query_server reads files where TensorFlow is not installed.
    from bert_tf.inference.saved_model_predictor import SavedModelPredictor

# Rows that are in memory at a time, and sorted by length among themselves.
_ROWS_AT_A_TIME = 1024

# Ids, then the texts of one or two segments.
Batch = tuple[list[str], tuple[list[str], ...]]


def read_batches(
    patterns: Sequence[str], options: ReadOptions = ReadOptions()
) -> Iterator[Batch]:
    """Reads files as batches of ids and texts; rows without id are numbered.

    Raises:
        InputError: as of `open_tables`.
    """
    number = itertools.count(1)
    for table, columns in open_tables(patterns, options, labelled=False):
        while rows := list(itertools.islice(table.rows, _ROWS_AT_A_TIME)):
            ids = [
                row.field(columns.id) if columns.id else str(next(number))
                for row in rows
            ]
            yield (
                ids,
                tuple(
                    [row.field(name) for row in rows] for name in columns.texts
                ),
            )


def read_texts(
    patterns: Sequence[str], options: ReadOptions = ReadOptions()
) -> tuple[list[str], list[str]]:
    """Reads ids and texts of files at once; arguments as of `read_batches`.

    Raises:
        InputError: as there; or the files hold pairs, or nothing.
    """
    ids: list[str] = []
    texts: list[str] = []
    for some_ids, segments in read_batches(patterns, options):
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
    submission: Submission | None = None,
    batch_size: int = 64,
) -> int:
    """Writes a prediction for each row and returns their number.

    The model is loaded after the first rows were read, so that a fault in
    the file is told first.

    Args:
        load: loads the model.
        batches: see `read_batches`.
        file: CSV, see `PredictionWriter`; or the submission.
        submission: is what is written, once all rows are answered.
        batch_size: texts that are answered at once.
    """
    first = next(batches, None)
    if first is None:
        raise InputError("--input_file: there are no rows to answer")
    predictor = load()
    writer = None
    if submission is None:
        writer = PredictionWriter(
            file, predictor.task, has_pairs=predictor.has_pairs
        )
    count, empty = 0, []
    for ids, segments in itertools.chain([first], batches):
        if len(segments) != 1 + predictor.has_pairs:
            raise InputError(
                f"{predictor.path} takes {1 + predictor.has_pairs} texts per "
                f"row, the input has {len(segments)}; see --text_column and "
                "--text_pair_column"
            )
        rows = predictor.predict_rows(segments, batch_size=batch_size)
        if writer is None:
            submission.add(ids, rows, predictor.task)
        else:
            writer.write(ids=ids, segments=segments, answer_rows=rows)
            file.flush()
        if not count:
            share = predictor.unknown_share(segments)
            if share > vocabulary.LARGE_UNKNOWN_SHARE:
                logging.warning(
                    "%.1f%% of the tokens of the first %d texts are unknown to "
                    "the model's vocabulary: is it of another language?",
                    100 * share,
                    len(ids),
                )
        count += len(ids)
        empty += [
            name
            for name, *texts in zip(ids, *segments, strict=True)
            if not all(text.strip() for text in texts)
        ]
    if submission is not None:
        submission.write(file)
    if empty:
        logging.warning(
            "%d of %d texts are empty; their answers mean nothing (ids %s).",
            len(empty),
            count,
            list_some(empty),
        )
    return count


if TYPE_CHECKING:
    # pipelines.query_server reads files where TensorFlow is not installed.
    from bert_tf.tasks.answers import AnswerRow
    from bert_tf.tasks.base import Task


class PredictionWriter:
    """Writes CSV: id, text, and the task's columns.

    Pairs have a text_pair column as well, and evaluations a true_label.
    """

    def __init__(
        self,
        file: TextIO,
        task: "Task",
        *,
        has_pairs: bool,
        has_true_labels: bool = False,
    ):
        # The default line end: before Python 3.11.9 and 3.12.3 csv quotes only
        # the line breaks that are in it, and with "\n" a text with "\r" would
        # be read as two rows.
        self._writer = csv.writer(_LineFeeds(file))
        header = ["id", "text"]
        if has_pairs:
            header.append("text_pair")
        header += task.answer_columns
        if has_true_labels:
            header.append("true_label")
        self._writer.writerow([*header, *task.detail_columns])

    def write(
        self,
        *,
        ids: Iterable[object],
        segments: tuple[Sequence[str], ...],
        answer_rows: "Sequence[AnswerRow]",
        true_labels: Sequence[str] | None = None,
    ) -> None:
        """Writes some rows."""
        for i, (name, *texts) in enumerate(zip(ids, *segments, strict=True)):
            answer, detail = answer_rows[i]
            row = [name, *texts, *answer]
            if true_labels is not None:
                row.append(true_labels[i])
            self._writer.writerow(row + detail)


class _LineFeeds:
    """Ends rows, which csv writes one by one, by a line feed."""

    def __init__(self, file: TextIO):
        self._file = file

    def write(self, row: str) -> int:
        return self._file.write(row.removesuffix("\r\n") + "\n")
