"""Answers of a model in memory, as its SavedModel gives them."""

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from bert_tf.data.examples import utf8
from bert_tf.data.pipeline import EncodedTexts
from bert_tf.tasks.task import Task

# Padded together, at the length of the longest.
_ROWS_AT_A_TIME = 64

# Cells of answer_columns and of detail_columns, see `Task`.
Cells = tuple[list[str], list[str]]


def answer_cells(
    task: Task,
    segments: tuple[Sequence[str], ...],
    encoded: EncodedTexts | None,
    predicted: np.ndarray,
) -> list[Cells]:
    """Returns the cells of each row of the predictions file.

    Args:
        task: the model's.
        segments: the texts.
        encoded: their tokens, where the task needs to know their places.
        predicted: as `Task.metrics` takes it.
    """
    _, answer = task.signatures()["serving_default"]
    if not task.with_places:
        batches = [{task.predicted: predicted}]
    elif task.stride is not None:
        batches = [
            {
                **windowed(task, encoded, predicted),
                "owners": encoded.owners,
                "text": utf8(segments[-1]),
            }
        ]
    else:
        batches = _placed_batches(task, encoded, predicted)
    cells = []
    for outputs in batches:
        rows = len(outputs.get("text", predicted))
        if task.with_places and task.stride is None:
            rows = len(outputs["places"])
            texts = segments[-1][len(cells) : len(cells) + rows]
            outputs["text"] = utf8(texts)
        answers = {
            name: value.numpy()
            for name, value in answer(
                {name: tf.constant(value) for name, value in outputs.items()}
            ).items()
        }
        cells += [task.cells(answers, row) for row in range(rows)]
    return cells


def windowed(task: Task, encoded: EncodedTexts, predicted: np.ndarray) -> dict:
    """Returns what a task keeps of each window, see `Task.in_windows`."""
    batches = [
        {
            name: value.numpy()
            for name, value in task.in_windows(
                {name: tf.constant(value) for name, value in outputs.items()}
            ).items()
        }
        for outputs in _placed_batches(task, encoded, predicted)
    ]
    return {
        name: np.concatenate([batch[name] for batch in batches])
        for name in batches[0]
    }


def _placed_batches(task, encoded, predicted) -> Iterator[dict]:
    """Returns outputs and places, padded, of some rows after the other."""
    lengths = encoded.lengths
    for first in range(0, len(lengths), _ROWS_AT_A_TIME):
        rows = range(first, min(first + _ROWS_AT_A_TIME, len(lengths)))
        longest = lengths[rows.start : rows.stop].max()
        outputs = np.zeros([len(rows), longest, task.num_outputs], np.float32)
        places = np.zeros([len(rows), longest, 3], np.int32)
        for i, row in enumerate(rows):
            start, end = encoded.row_splits[row : row + 2]
            outputs[i, : end - start] = predicted[start:end]
            places[i, : end - start] = encoded.places[start:end]
        yield {task.predicted: outputs, "places": places}
