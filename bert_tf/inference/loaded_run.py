"""Rebuilds the model of a finished run."""

import dataclasses
import os

import keras
import tensorflow as tf

from bert_tf import run_dir
from bert_tf.config.training import TrainConfig
from bert_tf.data import encoding
from bert_tf.inference import model_files
from bert_tf.inference.keras_predictor import KerasPredictor
from bert_tf.models import backbones, classifier
from bert_tf.tasks import head, registry
from bert_tf.tasks.answers import LoadedModel
from bert_tf.tasks.base import Task
from bert_tf.text import tokenizers, vocabulary
from bert_tf.text.preprocessor import Preprocessor, build_preprocessor


@dataclasses.dataclass(frozen=True)
class LoadedRun:
    """Everything that turns a text into an answer."""

    config: TrainConfig
    task: Task
    preprocessor: Preprocessor
    model: keras.Model

    @property
    def has_pairs(self) -> bool:
        """Whether an example is two texts."""
        return self.config.text_pair_column is not None


def load(path: str) -> LoadedRun:
    """Builds the model of a run and reads its best weights.

    Raises:
        InputError: `path` holds no finished run.
    """
    info = model_files.read_info(path)
    config = info.config
    backbones.set_precision(config.mixed_precision)
    backbone = backbones.from_config(
        os.path.join(path, run_dir.BACKBONE), dtype=config.dtype_policy
    )
    task = registry.build_task(info.task, info.class_names, info.parameters)
    model = head.build_model(
        task,
        backbone,
        dropout=config.dropout,
        freeze_backbone=config.freeze_backbone,
        # Runs of before December 2026 do not say it.
        pooling="cls" if config.pooling == "auto" else config.pooling,
    )
    model.load_weights(run_dir.weights(path))
    calibrated = classifier.read_temperature(path)
    if calibrated != 1.0:
        classifier.apply_temperature(model, calibrated)
    preprocessor = build_preprocessor(
        vocabulary.read_vocabulary(path),
        sequence_length=config.max_seq_length,
        long_text=config.long_text,
    )
    return LoadedRun(config, task, preprocessor, model)


def open_model(path: str, *, batch_size: int) -> LoadedModel:
    """Loads a run folder as a model that answers texts.

    Raises:
        InputError: `path` holds no finished run.
    """
    return as_model(load(path), path=path, batch_size=batch_size)


def as_model(run: LoadedRun, *, path: str, batch_size: int) -> LoadedModel:
    """Returns a loaded run as a model that answers texts."""

    def encode(segments):
        return encoding.encode(
            run.preprocessor,
            segments,
            with_offsets=run.task.with_offsets,
            stride=run.task.stride,
        )

    return LoadedModel(
        path=path,
        is_run=True,
        task=run.task,
        has_pairs=run.has_pairs,
        max_seq_length=run.config.max_seq_length,
        tokens=tokenizers.readable_tokens(run.preprocessor.vocabulary),
        encode=encode,
        predict_encoded=KerasPredictor(
            run.model,
            task=run.task,
            strategy=tf.distribute.get_strategy(),
            batch_size=batch_size,
            pad_token_id=run.preprocessor.special_ids.padding,
        ),
    )
