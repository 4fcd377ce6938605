"""Predicts with an ONNX model that was exported, by ONNX Runtime."""

import os
from collections.abc import Mapping, Sequence

import numpy as np
import onnxruntime
import tensorflow as tf

from bert_tf.data import encoding, input_pipeline
from bert_tf.data.input_pipeline import EncodedTexts
from bert_tf.inference import model_files
from bert_tf.inference.model_files import text_inputs
from bert_tf.inference.saved_model_predictor import as_model, pad
from bert_tf.tasks import pooling, registry
from bert_tf.tasks.answers import AnswerRow, LoadedModel, build_answer_rows
from bert_tf.text import tokenizers, vocabulary
from bert_tf.text.preprocessor import build_preprocessor

# Its inputs, and what `pad` calls them.
_INPUTS = {
    "input_ids": "input_word_ids",
    "attention_mask": "input_mask",
    "token_type_ids": "input_type_ids",
}


class OnnxPredictor:
    """A loaded ONNX model, asked as a `SavedModelPredictor` is.

    Attributes:
        path: the file.
        inputs: what its texts are called: one, or two for pairs.
        task: what it was trained for.
        max_seq_length: where texts are cut, in tokens.
        signatures: those of a SavedModel that it stands for.
    """

    signatures = ("tokenize", "tokens")

    def __init__(self, path: str):
        """Loads saved_models/NAME/onnx, or a file of it.

        Raises:
            InputError: it was not exported by this project.
        """
        info = model_files.read_info(path)
        self.path = info.path
        self._session = onnxruntime.InferenceSession(
            self.path, providers=["CPUExecutionProvider"]
        )
        settings = self._session.get_modelmeta().custom_metadata_map
        if "max_seq_length" not in settings:
            raise model_files.not_exported(self.path)
        self.task = registry.build_task(
            info.task, info.class_names, info.parameters
        )
        self.max_seq_length = int(settings["max_seq_length"])
        self.inputs = text_inputs(
            has_pairs=settings["has_pairs"] == str(True),
            has_windows=self.task.stride is not None,
        )
        self._preprocessor = build_preprocessor(
            vocabulary.read_vocabulary(
                os.path.join(os.path.dirname(self.path), model_files.EXTRA)
            ),
            sequence_length=self.max_seq_length,
            long_text=settings["long_text"],
        )
        self._names = [one.name for one in self._session.get_inputs()]

    @property
    def has_pairs(self) -> bool:
        """Whether it takes two texts an example."""
        return len(self.inputs) == 2

    def logits(self, tokens: Mapping[str, np.ndarray]) -> np.ndarray:
        """Returns logits <float32>[batch, ...] of what `pad` returns."""
        inputs = {
            name: tokens[_INPUTS[name]].astype(np.int64) for name in self._names
        }
        return self._session.run(None, inputs)[0]

    def encode(self, segments: tuple[Sequence[str], ...]) -> EncodedTexts:
        """Tokenizes one or two lists."""
        return encoding.encode(
            self._preprocessor,
            segments,
            with_offsets=self.task.with_offsets,
            stride=self.task.stride,
        )

    def read_tokens(self) -> tuple[str, ...]:
        """Returns its vocabulary, see `readable_tokens`."""
        return tokenizers.readable_tokens(self._preprocessor.vocabulary)

    def unknown_share(self, segments: tuple[Sequence[str], ...]) -> float:
        """Returns the share of tokens that the vocabulary lacks."""
        unknown = self._preprocessor.special_ids.unknown
        ids = self.encode(segments).token_ids
        return float((ids == unknown).mean()) if len(ids) else 0.0

    def predict_encoded(
        self, encoded: EncodedTexts, *, batch_size: int = 64
    ) -> np.ndarray:
        """Returns what `Task.metrics` takes, of tokens."""
        plan = input_pipeline.plan_evaluation(
            encoded.lengths, batch_size=batch_size
        )
        return pooling.collect(
            self.task,
            encoded,
            ((rows, self._answer(pad(encoded, rows))) for rows in plan),
        )

    def predict_rows(
        self, segments: tuple[Sequence[str], ...], *, batch_size: int = 64
    ) -> list[AnswerRow]:
        """Returns the rows of the predictions file, in order."""
        encoded = self.encode(segments)
        predictions = self.predict_encoded(encoded, batch_size=batch_size)
        return build_answer_rows(self.task, segments, encoded, predictions)

    def _answer(self, tokens: Mapping[str, np.ndarray]) -> np.ndarray:
        logits = self.logits(tokens)
        if self.task.prediction_key == "logits":
            return logits
        return self.task.activate(tf.constant(logits)).numpy()


def open_model(path: str, *, batch_size: int) -> LoadedModel:
    """Loads an ONNX model as a model that answers texts.

    Raises:
        InputError: `path` holds none of this project.
    """
    predictor = OnnxPredictor(path)
    return as_model(
        predictor,
        max_seq_length=predictor.max_seq_length,
        batch_size=batch_size,
    )
