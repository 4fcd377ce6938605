"""What is evaluated: a run folder or a SavedModel, asked in one way."""

import dataclasses
import os
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from bert_tf import run_dir
from bert_tf.config import TrainConfig
from bert_tf.data import pipeline
from bert_tf.data.pipeline import EncodedTexts
from bert_tf.models import classifier, inference
from bert_tf.models import trained as trained_lib
from bert_tf.serving.predictor import Predictor, find_version
from bert_tf.tasks import known
from bert_tf.tasks.task import Task
from bert_tf.text import tokenizers, vocabulary

_TOKENIZE_BATCH_SIZE = 1024


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
        predict: from texts to what `Task.metrics` takes.
        predict_encoded: the same from tokens.
    """

    path: str
    is_run: bool
    task: Task
    has_pairs: bool
    max_seq_length: int | None
    tokens: tuple[str, ...]
    encode: Callable[[tuple[Sequence[str], ...]], EncodedTexts]
    predict: Callable[[tuple[Sequence[str], ...]], np.ndarray]
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
    extra = os.path.join(find_version(path), "assets.extra")
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
        predict=lambda segments: predict(encode(segments)),
        predict_encoded=predict,
    )


def _open_saved_model(path: str, batch_size: int) -> Subject:
    predictor = Predictor(path)
    extra = os.path.join(predictor.path, "assets.extra")
    metrics = run_dir.read_json(os.path.join(extra, run_dir.METRICS))

    def encode(segments):
        rows = len(segments[0])
        parts = [
            _tokenize(predictor, [texts[i : i + _TOKENIZE_BATCH_SIZE]
                                  for texts in segments])
            for i in range(0, rows, _TOKENIZE_BATCH_SIZE)
        ]  # fmt: skip
        for number, part in enumerate(parts):
            part[-1][:] += number * _TOKENIZE_BATCH_SIZE
        ids, lengths, first_lengths, places, owners = map(
            np.concatenate, zip(*parts, strict=True)
        )
        return EncodedTexts(
            token_ids=ids,
            row_splits=np.concatenate([[0], np.cumsum(lengths)]),
            first_lengths=first_lengths,
            token_counts=lengths,
            places=places if predictor.task.with_places else None,
            owners=owners if predictor.task.stride is not None else None,
        )

    def predict_encoded(encoded):
        task = predictor.task
        a_token = task.encoder_output == classifier.SEQUENCE
        count = encoded.row_splits[-1] if a_token else len(encoded.lengths)
        result = np.empty([count, task.num_outputs], np.float32)
        for rows in pipeline.plan_evaluation(
            encoded.lengths, batch_size=batch_size
        ):
            inputs = _features(encoded, rows)
            answers = predictor.call("tokens", inputs)[task.predicted]
            if not a_token:
                result[rows] = answers
                continue
            for row, answer in zip(rows, answers, strict=True):
                start, end = encoded.row_splits[row : row + 2]
                result[start:end] = answer[: end - start]
        return result

    def predict(segments):
        if predictor.task.encoder_output == classifier.SEQUENCE:
            return predict_encoded(encode(segments))
        # As a server would answer, tokenizer and all.
        return predictor.probabilities(segments, batch_size=batch_size)

    return Subject(
        path=predictor.path,
        is_run=False,
        task=predictor.task,
        has_pairs=predictor.has_pairs,
        max_seq_length=metrics.get("truncation", {}).get("max_seq_length"),
        tokens=vocabulary.read_tokens(os.path.join(extra, run_dir.VOCABULARY)),
        encode=encode,
        predict=predict,
        predict_encoded=predict_encoded,
    )


def _tokenize(predictor: Predictor, segments) -> tuple[np.ndarray, ...]:
    """Returns ids, lengths, first lengths, places and owners, by row."""
    answers = predictor.call(
        "tokenize",
        {
            name: np.array([text.encode("utf-8", "ignore") for text in texts])
            for name, texts in zip(predictor.inputs, segments, strict=True)
        },
    )
    mask = answers["input_mask"].astype(bool)
    lengths = mask.sum(axis=1).astype(np.int32)
    second = (answers["input_type_ids"] * mask).sum(axis=1).astype(np.int32)
    # Of tasks that need none there are none.
    places = answers.get("places", np.zeros([*mask.shape, 0], np.int32))[mask]
    owners = np.array(answers.get("owners", np.arange(len(mask))))
    ids = answers["input_word_ids"][mask]
    return ids, lengths, lengths - second, places, owners


def _features(encoded: EncodedTexts, rows: np.ndarray) -> dict:
    """Returns the inputs of the signature `tokens` for some rows."""
    ids = np.zeros([len(rows), encoded.lengths[rows].max()], np.int32)
    mask, types = np.zeros_like(ids), np.zeros_like(ids)
    for i, row in enumerate(rows):
        start, end = encoded.row_splits[row : row + 2]
        ids[i, : end - start] = encoded.token_ids[start:end]
        mask[i, : end - start] = 1
        types[i, encoded.first_lengths[row] : end - start] = 1
    return {"input_word_ids": ids, "input_mask": mask, "input_type_ids": types}
