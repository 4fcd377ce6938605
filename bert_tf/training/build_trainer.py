"""Puts a trainer together: optimizer, steps, predictor and checkpoints."""

import functools
import math
import os
from collections.abc import Callable

import keras

from bert_tf import run_dir
from bert_tf.config.training import TrainConfig
from bert_tf.inference.keras_predictor import KerasPredictor
from bert_tf.models import finetuning
from bert_tf.tasks.base import Task
from bert_tf.training import contrastive, schedules, train_step
from bert_tf.training import optimizer as optimizer_lib
from bert_tf.training import strategy as strategy_lib
from bert_tf.training.checkpoints import Checkpoints
from bert_tf.training.train_step import TrainSteps
from bert_tf.training.trainer import Trainer


def build_trainer(
    config: TrainConfig,
    *,
    splits: dict,
    task: Task,
    strategy,
    model: keras.Model,
    encoded: dict,
    pad_token_id: int,
    after_save: Callable[[], None] | None,
    loss_fn: Callable | None,
) -> Trainer:
    """Builds the optimizer and what the trainer calls."""
    fixed_length = strategy_lib.fixed_length(strategy, config.max_seq_length)
    rows = len(encoded["train"].lengths)
    steps = math.ceil(rows / config.train_batch_size)
    is_contrastive = config.contrastive == "true"
    contrastive_steps = 0
    if is_contrastive:
        contrastive_steps = contrastive.num_steps(
            rows, task.num_outputs, config.train_batch_size
        )
    with strategy.scope():
        model.optimizer = optimizer_lib.build_optimizer(
            variables=model.trainable_variables,
            learning_rate=_build_schedule(
                config,
                steps=steps * (config.num_train_epochs - is_contrastive),
                contrastive_steps=contrastive_steps,
            ),
            weight_decay=config.weight_decay,
            mixed_precision=config.mixed_precision,
            num_replicas=strategy.num_replicas_in_sync,
            factors=finetuning.rate_factors(
                model, config.layerwise_learning_rate_decay
            ),
            fused=strategy_lib.fuses_updates(strategy, config.jit_compile),
        )
    build_step = functools.partial(
        train_step.build_train_step,
        strategy=strategy,
        task=task,
        model=model,
        optimizer=model.optimizer,
        seed=config.seed,
        accumulate_steps=config.accumulate_steps,
        jit_compile=config.jit_compile == "true",
    )
    return Trainer(
        model=model,
        task=task,
        strategy=strategy,
        splits=splits,
        encoded=encoded,
        predict=KerasPredictor(
            model,
            task=task,
            strategy=strategy,
            batch_size=config.eval_batch_size,
            pad_token_id=pad_token_id,
            fixed_length=fixed_length,
        ),
        train_steps=TrainSteps(functools.partial(build_step, loss_fn=loss_fn)),
        pair_steps=TrainSteps(
            functools.partial(
                build_step,
                loss_fn=contrastive.build_loss_fn(
                    task,
                    model,
                    skip_padding=fixed_length is None
                    and config.jit_compile != "true",
                ),
            )
        ),
        checkpoints=Checkpoints(
            os.path.join(config.output_dir, run_dir.CHECKPOINT),
            [*model.variables, *model.optimizer.variables],
            every_seconds=config.checkpoint_seconds,
            writes=strategy_lib.is_chief(strategy),
            after_save=after_save,
        ),
        output_dir=config.output_dir,
        train_batch_size=config.train_batch_size,
        num_train_epochs=config.num_train_epochs,
        contrastive_steps=contrastive_steps,
        class_weight=config.class_weight,
        metric_for_best_model=config.metric_for_best_model,
        early_stopping_patience=config.early_stopping_patience,
        steps_per_execution=config.steps_per_execution,
        seed=config.seed,
        pad_token_id=pad_token_id,
        fixed_length=fixed_length,
        pad_to_multiple_of=config.pad_to_multiple_of,
        max_seq_length=config.max_seq_length,
    )


def _build_schedule(
    config: TrainConfig, *, steps: int, contrastive_steps: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    first, then = (
        schedules.build_schedule(config, peak=config.learning_rate, steps=count)
        for count in (contrastive_steps, steps)
    )
    return schedules.SchedulesInTurn(first, then) if contrastive_steps else then
