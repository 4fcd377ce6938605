"""From files of labelled texts to a run folder; sees every part."""

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
from bert_tf.data import checking, encoding, examples, label_types
from bert_tf.data.splits import Splits, read_splits
from bert_tf.errors import InputError
from bert_tf.models import adaptation, backbones, presets
from bert_tf.tasks import head, known
from bert_tf.tasks.task import TaskOptions
from bert_tf.text import tokenizers
from bert_tf.text.preprocessing import build_preprocessor
from bert_tf.training import (
    alarms,
    checkpoints,
    new_run,
    preset_check,
    remote,
)
from bert_tf.training import optimizer as optimizer_lib
from bert_tf.training import results as results_lib
from bert_tf.training import strategy as strategy_lib
from bert_tf.training.checkpoints import TrainingState
from bert_tf.training.fit import Fit
from bert_tf.training.interruption import Interruption


def train(
    splits: Splits,
    config: TrainConfig,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    build_compute: Callable[[keras.Model], Callable] | None = None,
) -> dict:
    """Trains a model and writes the run folder config.output_dir.

    Args:
        splits: what `read_splits` read.
        config: every setting.
        callbacks: called beside the ones for progress, history and
            TensorBoard.
        build_compute: takes the model that is to be trained and returns what
            computes its loss in place of the classifier's, see
            `loop.build_step`.

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
            return _train(splits, config, strategy, callbacks, build_compute)
        return _train_remotely(
            splits, config, strategy, callbacks, build_compute
        )


def train_files(config: TrainConfig, **kwargs) -> dict:
    """Reads the files that the settings name and trains on them.

    Keyword arguments and results are those of `train`.
    """
    return train(read_splits(config), config, **kwargs)


def _train_remotely(
    splits: Splits, config: TrainConfig, strategy, callbacks, build_compute
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
            build_compute,
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
    build_compute=None,
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
        strategy, "whether there is a run to go on with", [resuming]
    )
    strategy_lib.check_compilation(strategy, config.jit_compile)
    strategy_lib.check_batch_sizes(config, strategy.num_replicas_in_sync)
    trainable_layers = adaptation.check_trainable_layers(
        config.trainable_layers
    )
    preset = presets.resolve(config.preset)
    preset_check.check_preset(config, preset)
    parts, records = splits.frames, splits.records
    if records is not None:
        records.check_vocabulary(preset.vocabulary)
    config = dataclasses.replace(config, **splits.columns)
    task = known.task_class(config.task).from_splits(
        parts,
        splits.class_names,
        TaskOptions(
            label_separator=config.label_separator,
            stride=config.window_stride,
            window_pooling=config.window_pooling,
        ),
    )
    if config.metric_for_best_model is None:
        config = dataclasses.replace(
            config, metric_for_best_model=task.selection_metric
        )
    keras.utils.set_random_seed(config.seed)
    preprocessor = build_preprocessor(
        preset.vocabulary,
        sequence_length=config.max_seq_length,
        long_text=config.long_text,
    )
    encoded = {
        name: records
        if records is not None and name == "train"
        else encoding.encode(
            preprocessor,
            examples.segments(part),
            with_places=task.with_places,
            stride=task.stride,
        )
        for name, part in parts.items()
    }
    data_report = checking.data_report(
        parts,
        encoded,
        max_seq_length=config.max_seq_length,
        max_positions=preset.max_positions,
        count_labels=label_types.of_task(
            config.task, separator=config.label_separator
        ).count,
    )
    logging.info("%s", checking.describe(data_report))

    with strategy.scope():
        backbone = preset.build_backbone(
            dropout=config.backbone_dropout, dtype=config.dtype_policy
        )
        preset.check_length(config.max_seq_length, backbone.max_sequence_length)
        if trainable_layers is not None:
            adaptation.freeze_lower_layers(backbone, trainable_layers)
        if config.lora_rank is not None:
            adaptation.add_lora(backbone, config.lora_rank)
        model = head.build_model(
            task,
            backbone,
            dropout=config.dropout,
            freeze_backbone=config.freeze_backbone,
        )
    if config.learning_rate is None:
        config = dataclasses.replace(
            config,
            learning_rate=optimizer_lib.default_learning_rate(
                backbones.unshared_size(backbone),
                freeze_backbone=config.freeze_backbone,
                has_lora=config.lora_rank is not None,
            ),
        )
    state = TrainingState(data=checkpoints.data_fingerprint(parts, encoded))
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
    logging.info(
        "Model: %s, %.1f M parameters, learning rate %g%s, %s; %s",
        config.preset,
        backbones.count_parameters(model) / 1e6,
        config.learning_rate,
        ", backbone frozen" if config.freeze_backbone else "",
        config.mixed_precision,
        strategy_lib.describe_devices(strategy),
    )
    fit = Fit(
        config,
        parts=parts,
        task=task,
        strategy=strategy,
        model=model,
        encoded=encoded,
        pad_token_id=preprocessor.special_ids.padding,
        after_save=after_save,
        compute=build_compute and build_compute(model),
    )
    data_alarms = alarms.before_training(
        config,
        data_report,
        labels=fit.targets if task.has_single_label else None,
        lengths=encoded["train"].lengths,
    )
    if fit.is_chief and task.has_single_label:
        callbacks = [
            alarms.AlarmCallback(
                config.output_dir, fit.labels, config.class_weight
            ),
            *callbacks,
        ]
    with _alone(fit), Interruption() as interruption:
        if resuming:
            state = _resume(fit, state)
        outcome = fit.run(state, callbacks, interruption)
        # The chief has written the best weights before any worker reads them.
        strategy_lib.check_agreement(strategy, "the epochs", [state.epoch])
        fit.load_best()
        results_lib.tune(fit)
        calibrated = results_lib.calibrate(fit) if config.calibrate else None
        results = results_lib.evaluate_best(
            fit, outcome, data_report, calibrated
        )
        found = results_lib.find_texts(
            fit, results, tokenizers.readable_tokens(preset.vocabulary)
        )
        # Soon done, and the run is then finished.
        interruption.stop_at_steps()
        metrics = results["validation"][1]
        if fit.is_chief:
            metrics = results_lib.write_results(
                fit, results, found, data_alarms
            )
        fit.checkpoints.delete()
    return metrics


def _alone(fit: Fit):
    if fit.is_chief:
        return run_dir.locked(fit.config.output_dir)
    return contextlib.nullcontext()


def _resume(fit: Fit, start: TrainingState) -> TrainingState:
    """Returns the state to go on from, the same on every worker."""
    state = fit.checkpoints.restore()
    position = [-1, 0] if state is None else [state.epoch, state.step]
    strategy_lib.check_agreement(
        fit.strategy,
        "the checkpoint (every worker must see the chief's --output_dir)",
        [*position, fit.checkpoints.checksum()],
    )
    if state is None:
        logging.info("The run in %s had not begun.", fit.config.output_dir)
        return start
    checkpoints.check_same("data", state.data, start.data)
    logging.info(
        "Going on with the run in %s: epoch %d, step %d of %d.",
        fit.config.output_dir,
        state.epoch + 1,
        state.step,
        fit.steps,
    )
    return state
