"""The predictions file: a row for each text, in the order of the texts."""

import csv
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    # pipelines.query_server reads files where TensorFlow is not installed.
    from bert_tf.tasks.answers import Cells
    from bert_tf.tasks.task import Task


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
        cells: "Sequence[Cells]",
        true_labels: Sequence[str] | None = None,
    ) -> None:
        """Writes some rows."""
        for i, (name, *texts) in enumerate(zip(ids, *segments, strict=True)):
            answer, detail = cells[i]
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
