"""Converts predictions to answers, as the SavedModel does."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
import tensorflow as tf

from bert_tf.data.examples import utf8
from bert_tf.data.input_pipeline import EncodedTexts
from bert_tf.tasks.base import Task

# Padded together, at the length of the longest.
_ROWS_AT_A_TIME = 64

# The cells of answer_columns and of detail_columns, see `Task`.
AnswerRow = tuple[list[str], list[str]]
# What they are where they are no text.
_CELLS = {"score": float, "start": int, "end": int}


def build_answer_rows(
    task: Task,
    segments: tuple[Sequence[str], ...],
    encoded: EncodedTexts | None,
    predictions: np.ndarray,
) -> list[AnswerRow]:
    """Returns the cells of each row of the predictions file.

    Args:
        encoded: their tokens, where the task needs to know their offsets.
        predictions: as `Task.metrics` takes it.
    """
    _, answer = task.signatures()["serving_default"]
    if not task.with_offsets:
        batches = [{task.prediction_key: predictions}]
    elif task.stride is not None:
        batches = [
            {
                **windowed(task, encoded, predictions),
                "example_index": encoded.example_index,
                "text": utf8(segments[-1]),
            }
        ]
    else:
        batches = _placed_batches(task, encoded, predictions)
    answer_rows = []
    for outputs in batches:
        rows = len(outputs.get("text", predictions))
        if task.with_offsets and task.stride is None:
            rows = len(outputs["offsets"])
            texts = segments[-1][len(answer_rows) : len(answer_rows) + rows]
            outputs["text"] = utf8(texts)
        answers = {
            name: value.numpy()
            for name, value in answer(
                {name: tf.constant(value) for name, value in outputs.items()}
            ).items()
        }
        answer_rows += [task.to_row(answers, row) for row in range(rows)]
    return answer_rows


def cell_types(task: Task) -> dict[str, type]:
    """Returns what the cells of each column are: str, float or int."""
    return {
        **{name: _CELLS.get(name, str) for name in task.answer_columns},
        **dict.fromkeys(task.detail_columns, float),
    }


def answer_table(task: Task, answer_rows: Sequence[AnswerRow]) -> pd.DataFrame:
    """Returns rows of the predictions file with numbers as numbers."""
    types = cell_types(task)
    table = pd.DataFrame(
        [answer + details for answer, details in answer_rows],
        columns=list(types),
        dtype=object,
    )
    return table.astype(types)


def windowed(
    task: Task,
    encoded: EncodedTexts,
    predictions: np.ndarray,
    function: Callable[[dict], dict] | None = None,
) -> dict:
    """Returns what a function of outputs returns of each window.

    By default what the task keeps of it, see `Task.in_windows`.
    """
    function = function or task.in_windows
    batches = [
        {
            name: value.numpy()
            for name, value in function(
                {name: tf.constant(value) for name, value in outputs.items()}
            ).items()
        }
        for outputs in _placed_batches(task, encoded, predictions)
    ]
    return {
        name: np.concatenate([batch[name] for batch in batches])
        for name in batches[0]
    }


def _placed_batches(task, encoded, predictions) -> Iterator[dict]:
    """Returns outputs and offsets, padded, of some rows after the other."""
    lengths = encoded.lengths
    for first in range(0, len(lengths), _ROWS_AT_A_TIME):
        rows = range(first, min(first + _ROWS_AT_A_TIME, len(lengths)))
        longest = lengths[rows.start : rows.stop].max()
        outputs = np.zeros([len(rows), longest, task.num_outputs], np.float32)
        offsets = np.zeros([len(rows), longest, 3], np.int32)
        for i, row in enumerate(rows):
            start, end = encoded.row_splits[row : row + 2]
            outputs[i, : end - start] = predictions[start:end]
            offsets[i, : end - start] = encoded.offsets[start:end]
        yield {task.prediction_key: outputs, "offsets": offsets}


@dataclasses.dataclass(frozen=True)
class LoadedModel:
    """A model that answers texts.

    `loaded_run.open_model` and `saved_model_predictor.open_model` give one.

    Attributes:
        path: the run folder, or the SavedModel's version.
        is_run: whether it is a run folder.
        task: what it was trained for.
        has_pairs: whether an example is two texts.
        max_seq_length: where texts are cut, in tokens; None where a SavedModel
            does not say.
        tokens: its vocabulary, see `readable_tokens`.
        encode: from one or two lists of texts to tokens. Those of a
            SavedModel are counted after the cut.
        predict_encoded: from tokens to what `Task.metrics` takes.
    """

    path: str
    is_run: bool
    task: Task
    has_pairs: bool
    max_seq_length: int | None
    tokens: tuple[str, ...]
    encode: Callable[[tuple[Sequence[str], ...]], EncodedTexts]
    predict_encoded: Callable[[EncodedTexts], np.ndarray]
