"""What is evaluated: a run folder or a SavedModel, asked in one way."""

import dataclasses
import os
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from bert_tf import run_dir
from bert_tf.data import pipeline
from bert_tf.data.pipeline import EncodedTexts
from bert_tf.models import inference
from bert_tf.models import trained as trained_lib
from bert_tf.serving.predictor import Predictor
from bert_tf.text import vocabulary

_TOKENIZE_BATCH_SIZE = 1024


@dataclasses.dataclass(frozen=True)
class Subject:
    """A model that answers texts.

    Attributes:
        path: the run folder, or the SavedModel's version.
        is_run: whether it is a run folder.
        class_names: in the order of the probabilities.
        has_pairs: whether an example is two texts.
        max_seq_length: where texts are cut, in tokens; None where a SavedModel
            does not say.
        tokens: its vocabulary.
        encode: from one or two lists of texts to tokens. Those of a
            SavedModel are counted after the cut.
        predict: from texts to probabilities <float32>[rows, classes].
        predict_encoded: the same from tokens.
    """

    path: str
    is_run: bool
    class_names: tuple[str, ...]
    has_pairs: bool
    max_seq_length: int | None
    tokens: tuple[str, ...]
    encode: Callable[[tuple[Sequence[str], ...]], EncodedTexts]
    predict: Callable[[tuple[Sequence[str], ...]], np.ndarray]
    predict_encoded: Callable[[EncodedTexts], np.ndarray]


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
    predict = inference.ProbabilityPredictor(
        trained.model,
        strategy=tf.distribute.get_strategy(),
        batch_size=batch_size,
        pad_token_id=trained.preprocessor.tokenizer.pad_token_id,
    )

    def encode(segments):
        return pipeline.encode(trained.preprocessor, segments)

    return Subject(
        path=path,
        is_run=True,
        class_names=trained.class_names,
        has_pairs=trained.has_pairs,
        max_seq_length=trained.config.max_seq_length,
        tokens=trained.preprocessor.vocabulary.tokens,
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
        ids, lengths, first_lengths = map(
            np.concatenate, zip(*parts, strict=True)
        )
        return EncodedTexts(
            token_ids=ids,
            row_splits=np.concatenate([[0], np.cumsum(lengths)]),
            first_lengths=first_lengths,
            token_counts=lengths,
        )

    def predict_encoded(encoded):
        result = np.empty(
            [len(encoded.lengths), len(predictor.class_names)], np.float32
        )
        for rows in pipeline.plan_evaluation(
            encoded.lengths, batch_size=batch_size
        ):
            result[rows] = predictor.call("tokens", _features(encoded, rows))[
                "probabilities"
            ]
        return result

    return Subject(
        path=predictor.path,
        is_run=False,
        class_names=predictor.class_names,
        has_pairs=predictor.has_pairs,
        max_seq_length=metrics.get("truncation", {}).get("max_seq_length"),
        tokens=vocabulary.read_tokens(os.path.join(extra, run_dir.VOCABULARY)),
        encode=encode,
        predict=lambda segments: predictor.probabilities(
            segments, batch_size=batch_size
        ),
        predict_encoded=predict_encoded,
    )


def _tokenize(predictor: Predictor, segments) -> tuple[np.ndarray, ...]:
    """Returns the ids of all tokens, and lengths and first lengths a text."""
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
    return answers["input_word_ids"][mask], lengths, lengths - second


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
