"""Fine-tunes a model: from splits to a run folder."""

import contextlib
import dataclasses
import os
import random
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
from absl import logging

from bert_tf import files, remote, run_dir
from bert_tf import labels as labels_lib
from bert_tf.config.training import TrainConfig
from bert_tf.data import data_report as data_report_lib
from bert_tf.data import encoding, label_types
from bert_tf.data.splits import Splits, read_splits
from bert_tf.errors import InputError
from bert_tf.models import backbones, finetuning
from bert_tf.presets import presets
from bert_tf.tasks import head, registry
from bert_tf.tasks.base import Task, TaskOptions
from bert_tf.text import tokenizers
from bert_tf.training import (
    checkpoints,
    defaults,
    new_run,
    progress,
    refit,
    trackers,
    training_warnings,
)
from bert_tf.training import results as results_lib
from bert_tf.training import strategy as strategy_lib
from bert_tf.training.build_trainer import build_trainer
from bert_tf.training.checkpoints import TrainingState
from bert_tf.training.preemption import PreemptionHandler


def train(
    splits: Splits,
    config: TrainConfig,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    build_loss_fn: Callable[[keras.Model], Callable] | None = None,
) -> dict:
    """Trains a model and writes the run folder config.output_dir.

    Args:
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
    with strategy_lib.telling_of_lost_workers(strategy), _callers_randomness():
        if not files.is_remote(config.output_dir):
            return _train(splits, config, strategy, callbacks, build_loss_fn)
        if strategy_lib.has_workers(strategy):
            raise InputError(
                f"--output_dir={config.output_dir}: several workers need a "
                "disk that all of them see as a folder"
            )
        with remote.local_copy(config.output_dir) as (folder, push):
            if os.path.exists(os.path.join(folder, run_dir.CONFIG)):
                # Where a run is killed early; remote disks have no empty ones.
                checkpoints = os.path.dirname(run_dir.WEIGHTS)
                os.makedirs(os.path.join(folder, checkpoints), exist_ok=True)
            return _train(
                splits,
                dataclasses.replace(config, output_dir=folder),
                strategy,
                callbacks,
                build_loss_fn,
                after_save=push,
                address=config.output_dir.rstrip("/"),
            )


@contextlib.contextmanager
def _callers_randomness() -> Iterator[None]:
    """Seeds are set for all of the process: gives a notebook its own back."""
    states = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def train_files(config: TrainConfig, **kwargs) -> dict:
    """Reads the files that the settings name and trains on them.

    Keyword arguments and results are those of `train`.
    """
    return train(read_splits(config), config, **kwargs)


def _train(
    splits: Splits,
    config: TrainConfig,
    strategy,
    callbacks,
    build_loss_fn=None,
    after_save=None,
    address: str | None = None,
) -> dict:
    config.check_trackers()
    resuming = new_run.check(config, strategy)
    preset = presets.resolve(config.preset)
    new_run.check_preset(config, preset)
    if splits.records is not None:
        splits.records.check_vocabulary(preset.vocabulary)

    backbones.set_precision(config.mixed_precision)

    # === Data ===
    keras.utils.set_random_seed(config.seed)
    task = _build_task(splits, config)
    encoded, max_seq_length = encoding.encode_splits(
        splits,
        config,
        preset.vocabulary,
        max_positions=preset.max_positions,
        with_offsets=task.with_offsets,
    )
    data_report = data_report_lib.build_data_report(
        splits.frames,
        encoded,
        max_seq_length=max_seq_length,
        max_positions=preset.max_positions,
        label_type=label_types.of_task(config.task, separator=config.separator),
        unknown_id=preset.vocabulary.special_ids.unknown,
    )
    if config.label_issues_file:
        data_report["dropped_label_issues"] = splits.num_dropped
    logging.info("%s", data_report_lib.describe(data_report))

    # === Model ===
    with strategy.scope():
        backbone = preset.build_backbone(
            dropout=config.backbone_dropout, dtype=config.dtype_policy
        )
        preset.check_length(max_seq_length, backbone.max_sequence_length)
        finetuning.choose_variables(
            backbone,
            trainable_layers=config.trainable_layers,
            lora_rank=config.lora_rank,
        )
        given, rows = config, len(encoded["train"].lengths)
        config = defaults.resolve(
            given,
            columns=splits.columns,
            max_seq_length=max_seq_length,
            task=task,
            preset=preset,
            rows=rows,
            validation_rows=len(splits.frames["validation"]),
            num_replicas=strategy.num_replicas_in_sync,
            num_parameters=backbones.unshared_size(backbone),
            # Other losses have other heads.
            may_probe=build_loss_fn is None,
        )
        model = head.build_model(
            task,
            backbone,
            dropout=config.dropout,
            freeze_backbone=config.freeze_backbone,
            has_pooler=preset.has_pooler,
            pooling=config.pooling,
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

    logging.info("%s.", defaults.describe(given, config, rows=rows))

    # === Run folder ===
    state = TrainingState(
        data=checkpoints.data_fingerprint(splits.frames, encoded),
        epoch=-1 if config.head_init == "linear_probe" else 0,
    )
    strategy_lib.check_agreement(
        strategy,
        "the data (every worker must read the same files)",
        [checkpoints.as_number(state.data)],
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
    trainer = build_trainer(
        config,
        splits=splits.frames,
        task=task,
        strategy=strategy,
        model=model,
        encoded=encoded,
        pad_token_id=preset.vocabulary.special_ids.padding,
        after_save=after_save,
        loss_fn=build_loss_fn and build_loss_fn(model),
    )
    data_warnings = training_warnings.before_training(
        data_report,
        labels=trainer.targets if task.is_multiclass else None,
        lengths=encoded["train"].lengths,
        batch_size=config.train_batch_size,
        seed=config.seed,
        max_truncated_share=config.max_truncated_share,
    )
    history_options = {
        "class_weight": config.class_weight,
        "metric": config.metric_for_best_model,
        "probed_epochs": int(config.contrastive == "true"),
        "from_epoch": training_warnings.first_telling_epoch(
            steps=trainer.steps,
            num_epochs=config.num_train_epochs,
            warmup_proportion=config.warmup_proportion,
        ),
    }
    lock = tracked = contextlib.nullcontext()
    if trainer.is_chief:
        lock = run_dir.locked(config.output_dir)
        if "mlflow" in config.report_to:
            tracked = trackers.mlflow_run(config, resuming=resuming)
        callbacks = [
            *trackers.build_callbacks(config.report_to, config.output_dir),
            *progress.build_callbacks(
                config.output_dir,
                batch_size=config.train_batch_size,
                log_steps=config.log_steps,
                labels=trainer.labels if task.is_multiclass else None,
                **history_options,
            ),
            *callbacks,
        ]
    start = None
    if config.refit:
        start = refit.copy_start(trainer, has_probe=state.epoch < 0)
    with lock, tracked, PreemptionHandler() as preemption:
        if resuming:
            state = new_run.resume(trainer.checkpoints, state, strategy)
        trainer.fit(state, callbacks, preemption)
        # The chief has written the best weights before any worker reads them.
        strategy_lib.check_agreement(strategy, "the epochs", [state.epoch])
        trainer.load_weights()

        # === Results ===
        task = results_lib.fit_thresholds(trainer)
        results = results_lib.evaluate(
            trainer,
            task,
            state,
            model_path=address or config.output_dir,
            data_report=data_report,
            calibration=results_lib.calibrate(trainer, config.calibrate),
            seed=config.seed,
            mixed_precision=config.mixed_precision,
            tokens=tokenizers.readable_tokens(preset.vocabulary),
            refit_from=start,
        )
        # Soon done, and the run is then finished.
        preemption.stop_at_steps()
        metrics = results.evaluations["validation"].metrics
        if trainer.is_chief:
            metrics = results_lib.write_results(
                trainer,
                results,
                data_warnings,
                seed=config.seed,
                **history_options,
            )
            if start is not None:
                run_dir.keep_refit(config.output_dir)
        trainer.checkpoints.delete()
    return metrics


def _build_task(splits: Splits, config: TrainConfig) -> Task:
    return registry.task_class(config.task).from_splits(
        splits.frames,
        splits.class_names,
        TaskOptions(
            label_separator=config.separator,
            stride=config.window_stride,
            window_pooling=config.window_pooling,
            positive_label=config.positive_label,
        ),
    )
