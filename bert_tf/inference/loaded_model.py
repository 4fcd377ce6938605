"""A model in memory, of whatever kind, asked in one way."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from bert_tf.data.pipeline import EncodedTexts
from bert_tf.tasks.task import Task


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
