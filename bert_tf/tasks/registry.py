"""The tasks by name, and task.json."""

import os
from collections.abc import Sequence

from bert_tf import run_dir
from bert_tf.tasks.base import Task
from bert_tf.tasks.classification import Classification
from bert_tf.tasks.multi_label import MultiLabel
from bert_tf.tasks.question_answering import QuestionAnswering
from bert_tf.tasks.regression import Regression
from bert_tf.tasks.token_classification import TokenClassification

_TASKS = {
    task.name: task
    for task in (
        Classification,
        Regression,
        MultiLabel,
        TokenClassification,
        QuestionAnswering,
    )
}


def task_class(name: str) -> type[Task]:
    """Returns the class of a task by its name."""
    return _TASKS[name]


def write_task(folder: str, task: Task, *, name_it: bool) -> None:
    """Writes task.json, which the simplest task does without.

    Args:
        folder: a run folder, or the extra assets of an export.
        task: its parameters are written.
        name_it: whether the folder says nowhere else which task it is.
    """
    if task.parameters or (name_it and task.name != Classification.name):
        run_dir.write_json(
            os.path.join(folder, run_dir.TASK),
            {"task": task.name, "parameters": task.parameters},
        )


def build_task(name: str, class_names: Sequence[str], parameters: dict) -> Task:
    """Returns a task of what labels.txt and task.json hold."""
    return _TASKS[name](tuple(class_names), **parameters)
