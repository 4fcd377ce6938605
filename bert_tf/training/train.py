"""Fine-tunes a model: from splits to a run folder."""

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Callable, Sequence

import keras
from absl import logging

from bert_tf import labels as labels_lib
from bert_tf import run_dir
from bert_tf.config.training import TrainConfig
from bert_tf.data import data_report as data_report_lib
from bert_tf.data import encoding, examples, label_types
from bert_tf.data.splits import Splits, read_splits
from bert_tf.errors import InputError
from bert_tf.models import backbones, finetuning
from bert_tf.presets import presets
from bert_tf.presets.presets import Preset
from bert_tf.tasks import head, registry
from bert_tf.tasks.base import Task, TaskOptions
from bert_tf.text import tokenizers
from bert_tf.text.preprocessor import Preprocessor, build_preprocessor
from bert_tf.training import checkpoints, new_run, remote, training_warnings
from bert_tf.training import optimizer as optimizer_lib
from bert_tf.training import results as results_lib
from bert_tf.training import strategy as strategy_lib
from bert_tf.training.checkpoints import TrainingState
from bert_tf.training.preemption import PreemptionHandler
from bert_tf.training.trainer import Trainer


def train(
    splits: Splits,
    config: TrainConfig,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    build_loss_fn: Callable[[keras.Model], Callable] | None = None,
) -> dict:
    """Trains a model and writes the run folder config.output_dir.

    Args:
        splits: what `read_splits` read.
        config: every setting.
        callbacks: called beside the ones for progress, history and
            TensorBoard.
        build_loss_fn: takes the model that is to be trained and returns what
            computes its loss in place of the classifier's, see
            `train_step.build_step`.

    Returns:
        What metrics.json holds.

    Raises:
        InputError: the settings or the data are wrong. Nothing is written
            then, except where the loss becomes NaN: the logs stay.
    """
    # Before any operation of TensorFlow, as several workers need it.
    strategy = strategy_lib.build_strategy(
        config.distribution_strategy, tpu=config.tpu
    )
    with strategy_lib.telling_of_lost_workers(strategy):
        if not run_dir.is_remote(config.output_dir):
            return _train(splits, config, strategy, callbacks, build_loss_fn)
        return _train_remotely(
            splits, config, strategy, callbacks, build_loss_fn
        )


def train_files(config: TrainConfig, **kwargs) -> dict:
    """Reads the files that the settings name and trains on them.

    Keyword arguments and results are those of `train`.
    """
    return train(read_splits(config), config, **kwargs)


def _train_remotely(
    splits: Splits, config: TrainConfig, strategy, callbacks, build_loss_fn
) -> dict:
    """Trains in a local folder whose files are copied to the remote one."""
    if strategy_lib.has_workers(strategy):
        raise InputError(
            f"--output_dir={config.output_dir}: several workers need a disk "
            "that all of them see as a folder"
        )
    address = config.output_dir.rstrip("/")
    with tempfile.TemporaryDirectory() as folder:
        local = os.path.join(folder, "run")
        remote.pull(address, local)
        logging.info("%s is worked on in %s.", address, local)
        metrics = _train(
            splits,
            dataclasses.replace(config, output_dir=local),
            strategy,
            callbacks,
            build_loss_fn,
            after_save=lambda: remote.push(local, address),
            address=address,
        )
        remote.push(local, address)
    return metrics


def _train(
    splits: Splits,
    config: TrainConfig,
    strategy,
    callbacks,
    build_loss_fn=None,
    after_save=None,
    address: str | None = None,
) -> dict:
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
    strategy_lib.check_batch_sizes(config, strategy.num_replicas_in_sync)
    preset = presets.resolve(config.preset)
    new_run.check_preset(config, preset)
    if splits.records is not None:
        splits.records.check_vocabulary(preset.vocabulary)

    # === Data ===
    keras.utils.set_random_seed(config.seed)
    task = _build_task(splits, config)
    preprocessor = build_preprocessor(
        preset.vocabulary,
        sequence_length=config.max_seq_length,
        long_text=config.long_text,
    )
    encoded = _encode(splits, task, preprocessor)
    data_report = data_report_lib.build_data_report(
        splits.frames,
        encoded,
        max_seq_length=config.max_seq_length,
        max_positions=preset.max_positions,
        count_labels=label_types.of_task(
            config.task, separator=config.label_separator
        ).count,
    )
    logging.info("%s", data_report_lib.describe(data_report))

    # === Model ===
    with strategy.scope():
        backbone = _build_backbone(preset, config)
        model = head.build_model(
            task,
            backbone,
            dropout=config.dropout,
            freeze_backbone=config.freeze_backbone,
        )
    config = resolve(config, splits=splits, task=task, backbone=backbone)
    logging.info(
        "Model: %s, %.1f M parameters, learning rate %g%s, %s; %s",
        config.preset,
        backbones.count_parameters(model) / 1e6,
        config.learning_rate,
        ", backbone frozen" if config.freeze_backbone else "",
        config.mixed_precision,
        strategy_lib.describe_devices(strategy),
    )

    # === Run folder ===
    state = TrainingState(
        data=checkpoints.data_fingerprint(splits.frames, encoded)
    )
    if resuming:
        new_run.check_settings(config)
    elif strategy_lib.is_chief(strategy):
        with new_run.begin(
            config, preset.vocabulary, backbone, address=address
        ) as folder:
            labels_lib.write_labels(
                os.path.join(folder, run_dir.LABELS), task.class_names
            )
            run_dir.write_json(
                os.path.join(folder, run_dir.DATA_REPORT), data_report
            )

    # === Training ===
    trainer = Trainer(
        config,
        splits=splits.frames,
        task=task,
        strategy=strategy,
        model=model,
        encoded=encoded,
        pad_token_id=preprocessor.special_ids.padding,
        after_save=after_save,
        loss_fn=build_loss_fn and build_loss_fn(model),
    )
    data_warnings = training_warnings.before_training(
        config,
        data_report,
        labels=trainer.targets if task.is_multiclass else None,
        lengths=encoded["train"].lengths,
    )
    if trainer.is_chief and task.is_multiclass:
        callbacks = [
            training_warnings.WarningCallback(
                config.output_dir, trainer.labels, config.class_weight
            ),
            *callbacks,
        ]
    with _alone(trainer), PreemptionHandler() as preemption:
        if resuming:
            state = _resume(trainer, state)
        outcome = trainer.run(state, callbacks, preemption)
        # The chief has written the best weights before any worker reads them.
        strategy_lib.check_agreement(strategy, "the epochs", [state.epoch])
        trainer.load_best()
        results_lib.tune(trainer)
        calibrated = (
            results_lib.calibrate(trainer) if config.calibrate else None
        )
        results = results_lib.evaluate_best(
            trainer, outcome, data_report, calibrated
        )
        findings = results_lib.find_texts(
            trainer, results, tokenizers.readable_tokens(preset.vocabulary)
        )
        # Soon done, and the run is then finished.
        preemption.stop_at_steps()
        metrics = results["validation"][1]
        if trainer.is_chief:
            metrics = results_lib.write_results(
                trainer, results, findings, data_warnings
            )
        trainer.checkpoints.delete()
    return metrics


def resolve(
    config: TrainConfig, *, splits: Splits, task: Task, backbone: keras.Model
) -> TrainConfig:
    """Returns the settings with what was left to the data and the model.

    Args:
        config: its columns, metric and learning rate may be None.
        splits: name the columns.
        task: has the metric that selects the best epoch.
        backbone: its size decides the learning rate.
    """
    learning_rate = config.learning_rate
    if learning_rate is None:
        learning_rate = optimizer_lib.default_learning_rate(
            backbones.unshared_size(backbone),
            freeze_backbone=config.freeze_backbone,
            has_lora=config.lora_rank is not None,
        )
    return dataclasses.replace(
        config,
        **splits.columns,
        metric_for_best_model=config.metric_for_best_model
        or task.selection_metric,
        learning_rate=learning_rate,
    )


def _build_task(splits: Splits, config: TrainConfig) -> Task:
    return registry.task_class(config.task).from_splits(
        splits.frames,
        splits.class_names,
        TaskOptions(
            label_separator=config.label_separator,
            stride=config.window_stride,
            window_pooling=config.window_pooling,
        ),
    )


def _encode(splits: Splits, task: Task, preprocessor: Preprocessor) -> dict:
    """Returns the splits' tokens; tokenized records are what they are."""
    encoded = {
        name: encoding.encode(
            preprocessor,
            examples.segments(frame),
            with_offsets=task.with_offsets,
            stride=task.stride,
        )
        for name, frame in splits.frames.items()
        if splits.records is None or name != "train"
    }
    if splits.records is not None:
        encoded["train"] = splits.records
    return encoded


def _build_backbone(preset: Preset, config: TrainConfig) -> keras.Model:
    backbone = preset.build_backbone(
        dropout=config.backbone_dropout, dtype=config.dtype_policy
    )
    preset.check_length(config.max_seq_length, backbone.max_sequence_length)
    trainable_layers = finetuning.check_trainable_layers(
        config.trainable_layers
    )
    if trainable_layers is not None:
        finetuning.freeze_lower_layers(backbone, trainable_layers)
    if config.lora_rank is not None:
        finetuning.add_lora(backbone, config.lora_rank)
    return backbone


def _alone(trainer: Trainer):
    if trainer.is_chief:
        return run_dir.locked(trainer.config.output_dir)
    return contextlib.nullcontext()


def _resume(trainer: Trainer, start: TrainingState) -> TrainingState:
    """Returns the state to resume from, the same on every worker."""
    state = trainer.checkpoints.restore()
    position = [-1, 0] if state is None else [state.epoch, state.step]
    strategy_lib.check_agreement(
        trainer.strategy,
        "the checkpoint (every worker must see the chief's --output_dir)",
        [*position, trainer.checkpoints.checksum()],
    )
    if state is None:
        logging.info(
            "The run in %s had not started.", trainer.config.output_dir
        )
        return start
    checkpoints.check_same("data", state.data, start.data)
    logging.info(
        "Resuming the run in %s: epoch %d, step %d of %d.",
        trainer.config.output_dir,
        state.epoch + 1,
        state.step,
        trainer.steps,
    )
    return state
