"""Creates a run folder, and checks its settings on resume."""

import contextlib
import dataclasses
import importlib.metadata
import os
import platform
from collections.abc import Iterator

import keras
import tensorflow as tf
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
from bert_tf.training import checkpoints as checkpoints_lib
from bert_tf.training import strategy as strategy_lib
from bert_tf.training.checkpoints import Checkpoints, TrainingState

_PACKAGES = (
    "bert_tf", "tensorflow", "tensorflow-text", "keras", "keras-nlp",
    "keras-hub", "numpy", "pandas", "scikit-learn",
)  # fmt: skip


def check(config: BaseConfig, strategy: tf.distribute.Strategy) -> bool:
    """Returns whether there is a run to resume.

    Raises:
        InputError: the settings do not go with the run folder or the strategy.
    """
    resuming = run_dir.check_output_dir(
        config.output_dir,
        overwrite=config.overwrite_output_dir,
        resume=config.resume,
    )
    # Also a barrier: all have looked before the chief writes.
    strategy_lib.check_agreement(
        strategy, "whether there is a run to resume", [resuming]
    )
    strategy_lib.check_compilation(strategy, config.jit_compile)
    strategy_lib.check_batch_sizes(
        strategy.num_replicas_in_sync,
        train_batch_size=config.train_batch_size,
        eval_batch_size=config.eval_batch_size,
        accumulate_steps=config.accumulate_steps,
    )
    return resuming


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

        write_settings(folder, recorded)
        vocabulary_lib.write_vocabulary(folder, vocabulary)
        backbones.save_config(path(run_dir.BACKBONE), backbone)
        run_dir.write_json(path(run_dir.VERSIONS), versions())
        yield folder


def write_settings(folder: str, config: BaseConfig) -> None:
    """Writes config.json and flags.txt."""
    run_dir.write_json(os.path.join(folder, run_dir.CONFIG), config.to_json())
    run_dir.write_text(
        os.path.join(folder, run_dir.FLAGS), config.to_flagfile()
    )


def check_settings(config: BaseConfig) -> None:
    """Raises InputError unless the run was started with these settings."""
    saved = type(config).read(config.output_dir)
    checkpoints_lib.check_same(
        "settings", saved.result_settings(), config.result_settings()
    )


def resume(
    checkpoints: Checkpoints,
    fresh: TrainingState,
    strategy: tf.distribute.Strategy,
) -> TrainingState:
    """Returns the state to resume from, the same on every worker.

    Of a pretraining it is its `PretrainingState`.

    Raises:
        InputError: it is of other data than `fresh`, where training starts.
    """
    state = checkpoints.restore()
    strategy_lib.check_agreement(
        strategy,
        "the checkpoint (every worker must see the chief's --output_dir)",
        [-1 if state is None else state.step, checkpoints.checksum()],
    )
    if state is None:
        logging.info("The run had not started.")
        return fresh
    checkpoints_lib.check_same("data", state.data, fresh.data)
    logging.info("Resuming the run from %s.", state.describe())
    return state


def check_preset(config: TrainConfig, preset: Preset) -> None:
    """Raises InputError unless a preset can be trained as is asked for."""
    if config.max_seq_length is not None:
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
