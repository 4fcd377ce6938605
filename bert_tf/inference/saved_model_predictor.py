"""Predicts with an exported SavedModel in this process."""

import functools
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

# Registers the operations that a SavedModel's tokenizer consists of.
import tensorflow_text  # noqa: F401

from bert_tf import run_dir
from bert_tf.data import examples, input_pipeline
from bert_tf.data.input_pipeline import EncodedTexts
from bert_tf.errors import InputError, InstallationError
from bert_tf.inference import model_files
from bert_tf.inference.model_files import EXTRA, current_names, text_inputs
from bert_tf.tasks import pooling, registry
from bert_tf.tasks.answers import AnswerRow, LoadedModel, build_answer_rows
from bert_tf.text import vocabulary

_TOKENIZE_BATCH_SIZE = 1024
# Special tokens are among these.
_FIRST_TOKENS = 1000
# One batch's small operations run while another's products wait for a core:
# 1.09 times the texts per second on two cores. More threads add 0.02.
_CONCURRENT_BATCHES = 2
# Smaller ones of 33 tokens a text were slower by a tenth.
_SMALLEST_BATCH = 8


class SavedModelPredictor:
    """A loaded SavedModel.

    Attributes:
        path: the version's folder.
        signatures: their names.
        inputs: the names of the text inputs: one, or two for pairs.
        task: what it was trained for.
    """

    def __init__(self, path: str, *, threads: int | None = None):
        """Loads saved_models/NAME/VERSION, or the newest version of a NAME.

        Args:
            threads: on a CPU, answer parts of a batch side by side, one core
                each: what answers many texts soonest. To be said before this
                process has run anything in TensorFlow. By default all cores
                work on one text, which answers that soonest.

        Raises:
            InputError: there is no SavedModel of this project.
            InstallationError: this TensorFlow cannot run it.
        """
        info = model_files.read_info(path)
        self.path = info.path
        self._parts = 1
        if threads and not tf.config.list_physical_devices("GPU"):
            tf.config.threading.set_intra_op_parallelism_threads(1)
            self._parts = threads
        try:
            # Kept, since the signature does not keep its weights alive.
            self._loaded = tf.saved_model.load(self.path)
        except (tf.errors.NotFoundError, FileNotFoundError) as error:
            if "Op type not registered" not in str(error):
                raise InputError(
                    f"{self.path} cannot be loaded: {error}"
                ) from error
            raise InstallationError(
                f"{self.path} uses an operation that the installed "
                f"tensorflow and tensorflow-text lack: {error}"
            ) from error
        # Kept: of each thread that has run an operation TensorFlow keeps
        # something for ever.
        self._pool = ThreadPoolExecutor(threads or _CONCURRENT_BATCHES)
        self.signatures = tuple(sorted(self._loaded.signatures))
        if "serving_default" not in self.signatures:
            raise model_files.not_exported(self.path)
        default = self._loaded.signatures["serving_default"]
        self._outputs = set(default.structured_outputs)
        self.task = registry.build_task(
            info.task, info.class_names, info.parameters
        )
        self.inputs = text_inputs(
            has_pairs=len(default.structured_input_signature[1]) == 2,
            has_windows=self.task.stride is not None,
        )

    @property
    def has_pairs(self) -> bool:
        """Whether it takes two texts an example."""
        return len(self.inputs) == 2

    def call(
        self, signature: str, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Answers one batch, as a server's predict request does."""
        function = self._loaded.signatures[signature]
        outputs = function(
            **{name: tf.constant(values) for name, values in inputs.items()}
        )
        return current_names(
            {name: value.numpy() for name, value in outputs.items()}
        )

    def probabilities(
        self, segments: tuple[Sequence[str], ...], *, batch_size: int = 64
    ) -> np.ndarray:
        """Returns <float32>[rows, outputs], in the order of the texts.

        Of a task whose outputs are no probabilities, what they are. More than
        a batch are tokenized first, and those of like length answered
        together, since a batch is as long as its longest text.
        """
        count = len(segments[0])
        key = self.task.prediction_key
        if count <= batch_size and key in self._outputs:
            answers = self.call("serving_default", self._text_inputs(segments))
            return answers[key]
        return self.predict_encoded(
            self.encode(segments), batch_size=batch_size
        )

    def encode(self, segments: tuple[Sequence[str], ...]) -> EncodedTexts:
        """Tokenizes one or two lists; counts are those after truncation."""
        parts = []
        for start in range(0, max(1, len(segments[0])), _TOKENIZE_BATCH_SIZE):
            rows = slice(start, start + _TOKENIZE_BATCH_SIZE)
            inputs = self._text_inputs([texts[rows] for texts in segments])
            parts.append(_unpad(self.call("tokenize", inputs), start))
        columns = {
            name: np.concatenate([part[name] for part in parts])
            for name in parts[0]
        }
        lengths = columns.pop("lengths")
        return EncodedTexts(
            row_splits=np.concatenate([[0], np.cumsum(lengths)]),
            token_counts=lengths.astype(np.int32),
            **columns,
        )

    def read_tokens(self) -> tuple[str, ...]:
        """Reads its vocabulary, see `readable_tokens`."""
        return vocabulary.read_tokens(
            os.path.join(self.path, EXTRA, run_dir.VOCABULARY)
        )

    def unknown_share(self, segments: tuple[Sequence[str], ...]) -> float:
        """Returns the share of tokens that the vocabulary lacks."""
        unknown = [
            number
            for number, token in enumerate(self.read_tokens()[:_FIRST_TOKENS])
            if token in ("[UNK]", "<unk>")
        ]
        ids = self.encode(segments).token_ids
        return float(np.isin(ids, unknown).mean()) if len(ids) else 0.0

    def predict_encoded(
        self, encoded: EncodedTexts, *, batch_size: int = 64
    ) -> np.ndarray:
        """Returns what `Task.metrics` takes, of tokens.

        Texts of like length are answered together, since a batch is as long as
        its longest text.
        """

        def answer(rows: np.ndarray) -> np.ndarray:
            answers = self.call("tokens", pad(encoded, rows))
            return answers[self.task.prediction_key]

        plan = input_pipeline.plan_evaluation(
            encoded.lengths, batch_size=self._part(batch_size)
        )
        return pooling.collect(
            self.task,
            encoded,
            zip(plan, self._pool.map(answer, plan), strict=True),
        )

    def predict_rows(
        self, segments: tuple[Sequence[str], ...], *, batch_size: int = 64
    ) -> list[AnswerRow]:
        """Returns the rows of the predictions file, in order."""
        if self.task.with_offsets:
            return self.served_rows(segments, batch_size=batch_size)
        predictions = self.probabilities(segments, batch_size=batch_size)
        return build_answer_rows(self.task, segments, None, predictions)

    def served_rows(
        self, segments: tuple[Sequence[str], ...], *, batch_size: int = 64
    ) -> list[AnswerRow]:
        """Returns the same from `serving_default` alone, as a server does."""
        lengths = [
            sum(map(len, texts)) for texts in zip(*segments, strict=True)
        ]
        plan = input_pipeline.plan_evaluation(
            np.array(lengths), batch_size=self._part(batch_size)
        )

        def answer(rows: np.ndarray) -> dict[str, np.ndarray]:
            inputs = self._text_inputs(
                [[texts[row] for row in rows] for texts in segments]
            )
            return self.call("serving_default", inputs)

        answer_rows: list[AnswerRow] = [None] * len(lengths)
        for rows, answers in zip(
            plan, self._pool.map(answer, plan), strict=True
        ):
            for i, row in enumerate(rows):
                answer_rows[row] = self.task.to_row(answers, i)
        return answer_rows

    def _part(self, batch_size: int) -> int:
        """Returns how many texts of a batch a thread answers."""
        smallest = min(batch_size, _SMALLEST_BATCH)
        return max(smallest, batch_size // self._parts)

    def _text_inputs(self, segments: Sequence[Sequence[str]]) -> dict:
        return {
            name: examples.utf8(texts)
            for name, texts in zip(self.inputs, segments, strict=True)
        }


def open_model(path: str, *, batch_size: int) -> LoadedModel:
    """Loads a SavedModel as a model that answers texts.

    Raises:
        InputError: `path` holds no SavedModel of this project.
    """
    predictor = SavedModelPredictor(path)
    metrics = run_dir.read_json(
        os.path.join(predictor.path, EXTRA, run_dir.METRICS)
    )
    length = metrics.get("truncation", {}).get("max_seq_length")
    return as_model(predictor, max_seq_length=length, batch_size=batch_size)


def as_model(predictor, *, max_seq_length, batch_size: int) -> LoadedModel:
    """Returns a `SavedModelPredictor`, or an `OnnxPredictor`, as a model."""
    return LoadedModel(
        path=predictor.path,
        is_run=False,
        task=predictor.task,
        has_pairs=predictor.has_pairs,
        max_seq_length=max_seq_length,
        tokens=predictor.read_tokens(),
        encode=predictor.encode,
        predict_encoded=functools.partial(
            predictor.predict_encoded, batch_size=batch_size
        ),
    )


def _unpad(answers: dict[str, np.ndarray], first: int) -> dict:
    """Returns columns of EncodedTexts, and lengths <int64>[rows].

    Args:
        answers: of the signature `tokenize`.
        first: the number of its first text.
    """
    mask = answers["input_mask"].astype(bool)
    lengths = mask.sum(axis=1)
    second = (answers["input_type_ids"] * mask).sum(axis=1)
    columns = {
        "token_ids": answers["input_word_ids"][mask],
        "lengths": lengths,
        "first_lengths": (lengths - second).astype(np.int32),
    }
    if "offsets" in answers:
        columns["offsets"] = answers["offsets"][mask]
    if "example_index" in answers:
        columns["example_index"] = answers["example_index"] + first
    return columns


def pad(encoded: EncodedTexts, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the inputs <int32>[batch, longest] of the signature `tokens`."""
    # The mask is 0 there, so that any token will do.
    ids = np.zeros([len(rows), encoded.lengths[rows].max()], np.int32)
    mask, types = np.zeros_like(ids), np.zeros_like(ids)
    for i, row in enumerate(rows):
        start, end = encoded.row_splits[row : row + 2]
        ids[i, : end - start] = encoded.token_ids[start:end]
        mask[i, : end - start] = 1
        types[i, encoded.first_lengths[row] : end - start] = 1
    return {"input_word_ids": ids, "input_mask": mask, "input_type_ids": types}
