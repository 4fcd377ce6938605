"""What is evaluated: a run folder or a SavedModel, asked in one way."""

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from bert_tf import run_dir
from bert_tf.config import TrainConfig
from bert_tf.data import pipeline
from bert_tf.data.pipeline import EncodedTexts
from bert_tf.models import inference
from bert_tf.models import trained as trained_lib
from bert_tf.serving import publishing
from bert_tf.serving.predictor import Predictor, find_version
from bert_tf.tasks import known
from bert_tf.tasks.task import Task
from bert_tf.text import tokenizers, vocabulary


@dataclasses.dataclass(frozen=True)
class Subject:
    """A model that answers texts.

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


def task_class(path: str) -> type[Task]:
    """Returns the task of a run folder or a SavedModel, without loading it.

    Raises:
        InputError: `path` is neither.
    """
    config = os.path.join(path, run_dir.CONFIG)
    if os.path.exists(config):
        return known.task_class(
            TrainConfig.from_json(run_dir.read_json(config)).task
        )
    extra = os.path.join(find_version(path), publishing.EXTRA)
    return type(known.read_task(extra, ()))


def open_subject(path: str, batch_size: int) -> Subject:
    """Loads a run folder or a SavedModel.

    Raises:
        InputError: `path` is neither.
    """
    if os.path.exists(os.path.join(path, run_dir.CONFIG)):
        return _open_run(path, batch_size)
    return _open_saved_model(path, batch_size)


def _open_run(path: str, batch_size: int) -> Subject:
    trained = trained_lib.load(path)
    predict = inference.MemoryPredictor(
        trained.model,
        task=trained.task,
        strategy=tf.distribute.get_strategy(),
        batch_size=batch_size,
        pad_token_id=trained.preprocessor.special_ids.padding,
    )

    def encode(segments):
        return pipeline.encode(
            trained.preprocessor,
            segments,
            with_places=trained.task.with_places,
            stride=trained.task.stride,
        )

    return Subject(
        path=path,
        is_run=True,
        task=trained.task,
        has_pairs=trained.has_pairs,
        max_seq_length=trained.config.max_seq_length,
        tokens=tokenizers.readable_tokens(trained.preprocessor.vocabulary),
        encode=encode,
        predict_encoded=predict,
    )


def _open_saved_model(path: str, batch_size: int) -> Subject:
    predictor = Predictor(path)
    extra = os.path.join(predictor.path, publishing.EXTRA)
    metrics = run_dir.read_json(os.path.join(extra, run_dir.METRICS))

    return Subject(
        path=predictor.path,
        is_run=False,
        task=predictor.task,
        has_pairs=predictor.has_pairs,
        max_seq_length=metrics.get("truncation", {}).get("max_seq_length"),
        tokens=vocabulary.read_tokens(os.path.join(extra, run_dir.VOCABULARY)),
        encode=predictor.encode,
        predict_encoded=functools.partial(
            predictor.predict_encoded, batch_size=batch_size
        ),
    )
