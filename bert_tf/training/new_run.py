"""Creates a run folder, and checks its settings on resume."""

import contextlib
import dataclasses
import importlib.metadata
import os
import platform
from collections.abc import Iterator

import keras
from absl import logging

from bert_tf import run_dir
from bert_tf.config.base import BaseConfig
from bert_tf.config.training import TrainConfig
from bert_tf.models import backbones, finetuning
from bert_tf.presets.presets import Preset
from bert_tf.tasks import registry
from bert_tf.text import tokenizers
from bert_tf.text import vocabulary as vocabulary_lib
from bert_tf.text.vocabulary import Vocabulary
from bert_tf.training import checkpoints
from bert_tf.training import strategy as strategy_lib
from bert_tf.training.checkpoints import TrainingState
from bert_tf.training.trainer import Trainer

_PACKAGES = (
    "bert_tf", "tensorflow", "tensorflow-text", "keras", "keras-nlp",
    "keras-hub", "numpy", "pandas", "scikit-learn",
)  # fmt: skip


@contextlib.contextmanager
def begin(
    config: BaseConfig,
    vocabulary: Vocabulary,
    backbone: keras.Model,
    *,
    address: str | None = None,
) -> Iterator[str]:
    """Writes what every run has, and gives the folder for what one adds.

    The run folder is there, whole, when the context ends. Its settings name
    `address`, where it will be copied, in place of config.output_dir.
    """
    recorded = dataclasses.replace(
        config, output_dir=address or config.output_dir
    )
    with run_dir.create(
        config.output_dir, overwrite=config.overwrite_output_dir
    ) as folder:

        def path(name):
            return os.path.join(folder, name)

        run_dir.write_json(path(run_dir.CONFIG), recorded.to_json())
        run_dir.write_text(path(run_dir.FLAGS), recorded.to_flagfile())
        vocabulary_lib.write_vocabulary(folder, vocabulary)
        backbones.save_config(path(run_dir.BACKBONE), backbone)
        run_dir.write_json(path(run_dir.VERSIONS), versions())
        yield folder


def check_settings(config: BaseConfig) -> None:
    """Raises InputError unless the run was started with these settings."""
    saved = type(config).read(config.output_dir)
    checkpoints.check_same(
        "settings", saved.result_settings(), config.result_settings()
    )


def resume(trainer: Trainer, start: TrainingState) -> TrainingState:
    """Returns the state to resume from, the same on every worker."""
    state = trainer.checkpoints.restore()
    position = [-1, 0] if state is None else [state.epoch, state.step]
    strategy_lib.check_agreement(
        trainer.strategy,
        "the checkpoint (every worker must see the chief's --output_dir)",
        [*position, trainer.checkpoints.checksum()],
    )
    if state is None:
        logging.info("The run in %s had not started.", trainer.output_dir)
        return start
    checkpoints.check_same("data", state.data, start.data)
    logging.info(
        "Resuming the run in %s: epoch %d, step %d of %d.",
        trainer.output_dir,
        state.epoch + 1,
        state.step,
        trainer.steps,
    )
    return state


def check_preset(config: TrainConfig, preset: Preset) -> None:
    """Raises InputError unless a preset can be trained as is asked for."""
    preset.check_length(config.max_seq_length, preset.max_positions)
    finetuning.check_trainable_layers(config.trainable_layers)
    finetuning.check_layers(
        preset.backbone_class,
        config.trainable_layers,
        config.layerwise_learning_rate_decay,
    )
    if registry.task_class(config.task).with_offsets:
        tokenizers.check_offsets(
            preset.vocabulary, preset=config.preset, task=config.task
        )


def versions() -> dict[str, str]:
    """Returns the versions of Python and the packages that matter."""
    installed = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            installed[package] = "not installed"
    return installed
