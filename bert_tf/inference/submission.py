"""Submission files, as competitions on Kaggle take them."""

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from bert_tf.data.readers import registry
from bert_tf.errors import InputError, list_some

if TYPE_CHECKING:
    # A sample is read before TensorFlow is loaded.
    from bert_tf.tasks.answers import AnswerRow
    from bert_tf.tasks.base import Task

_TASKS = ("classification", "multi_label", "regression")
# Of a column of the predictions file that has a class's probability.
_PROBABILITY = "probability_"


class Submission:
    """Answers for the ids of a sample submission.

    Attributes:
        id_column: the name of the first column.
    """

    def __init__(
        self,
        path: str,
        *,
        task: str,
        class_names: Sequence[str],
        label_names: Sequence[str] = (),
    ):
        """Reads a sample.

        Args:
            path: of a table with ids first, then a column of labels, numbers
                or, of two classes, the probability of one; or a column for
                the probability of each class.
            task: of the model.
            class_names: of the model.
            label_names: what the labels 0, 1, ... of the sample are called by
                the model.

        Raises:
            InputError: the model's answers do not go into such a file.
        """
        self._path = path
        table = registry.open_table(path)
        self.id_column, *self._columns = table.columns
        rows = list(table.rows)
        self._ids = [row.field(self.id_column) for row in rows]
        self._numbers: dict[str, str] = {}
        # The class whose probability is asked for, where it is one.
        self._scored: str | None = None
        self._answers: dict[str, list[str]] = {}
        if task not in _TASKS:
            raise InputError(
                f"--submission_file is for models of {', '.join(_TASKS)}, and "
                f"this one is of {task}"
            )
        repeated = [name for name, n in Counter(self._ids).items() if n > 1]
        if repeated:
            raise InputError(
                f"{path} has values of {self.id_column} twice "
                f"({list_some(repeated)})"
            )
        self._has_probabilities = bool(self._columns) and (
            set(self._columns) == set(class_names)
        )
        if self._has_probabilities:
            return
        if len(self._columns) != 1 or task == "multi_label":
            raise InputError(
                f"{path} has the columns {', '.join(table.columns)}; it needs "
                "an id and a label, or an id and one column for each class: "
                f"{', '.join(class_names)}"
            )
        if task == "regression":
            return
        values = {row.field(self._columns[0]) for row in rows}
        if values <= set(class_names):
            return
        if not label_names:
            raise InputError(
                f'{path} has "{min(values - set(class_names))}" in column '
                f'"{self._columns[0]}", and the model answers '
                f"{list_some(class_names)}; pass --label_names with what "
                "0, 1, ... are called, in this order"
            )
        missing = set(class_names) - set(label_names)
        if missing:
            raise InputError(
                f"--label_names={','.join(label_names)} lacks "
                f"{', '.join(sorted(missing))}, which the model answers"
            )
        self._numbers = {name: str(n) for n, name in enumerate(label_names)}
        if len(class_names) == 2 and not all(map(str.isdigit, values)):
            # Such as 0.5: of the class that is 1.
            self._scored = label_names[1]

    def add(
        self,
        ids: Iterable[str],
        answer_rows: "Sequence[AnswerRow]",
        task: "Task",
    ) -> None:
        """Takes some answers.

        Raises:
            InputError: an id is there twice.
        """
        for name, (answer, detail) in zip(ids, answer_rows, strict=True):
            if name in self._answers:
                raise InputError(
                    f'--input_file has the {self.id_column} "{name}" twice'
                )
            cells = dict(zip(task.detail_columns, detail, strict=True))
            if self._has_probabilities:
                row = [cells[_PROBABILITY + one] for one in self._columns]
            elif self._scored:
                row = [cells[_PROBABILITY + self._scored]]
            else:
                row = [self._numbers.get(answer[0], answer[0])]
            self._answers[name] = row

    def write(self, file: TextIO) -> None:
        """Writes the answers in the order of the sample.

        Raises:
            InputError: the ids are not those of the sample.
        """
        known = set(self._ids)
        surplus = [name for name in self._answers if name not in known]
        missing = [name for name in self._ids if name not in self._answers]
        for names, has, lacks in (
            (missing, self._path, "--input_file"),
            (surplus, "--input_file", self._path),
        ):
            if names:
                raise InputError(
                    f"{has} has {len(names):,} values of {self.id_column} that "
                    f"{lacks} lacks ({list_some(names)}); are both of one "
                    "competition, and is --id_column right?"
                )
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([self.id_column, *self._columns])
        for name in self._ids:
            writer.writerow([name, *self._answers[name]])
