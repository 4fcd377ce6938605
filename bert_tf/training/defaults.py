"""Settings that are left to the data, the model and the checkpoint."""

import dataclasses
import math
from collections.abc import Mapping

from bert_tf.config.training import PROBED_TASKS, TrainConfig
from bert_tf.presets.presets import Preset
from bert_tf.tasks.base import Task
from bert_tf.training import optimizer

# Few rows are few steps, after which a model has hardly moved (Zhang et al.
# 2021, 2006.05987); where an epoch is a step or two, there must be an end.
_FEWEST_STEPS = 400
# Classes that a linear probe knows already need fewer; with more, labels that
# are wrong are learnt by heart (docs/tried.md).
_FEWEST_STEPS_FROM_PROBE = 200
# Rows a class up to which a contrastive epoch comes first. Of many rows the
# classes teach as much; where they are not those of a sentence encoder's likes,
# as of grammar, it is a loss (docs/defaults.md).
_CONTRASTIVE_ROWS = 400
_EPOCHS, _MOST_EPOCHS = 3, 40
# Of fewer rows three epochs after a contrastive one are a dozen steps at most,
# which change nothing but by chance.
_FEW_AFTER_PAIRS = 100
_BATCH_SIZE, _BATCH_SIZE_OF_FEW, _FEW_ROWS = 32, 16, 1_000
# Fewer validation rows are too few to tell accuracies apart; by its loss one
# soon sees that a model of few rows has learnt them by heart.
FEW_ROWS_TO_TELL = 100
_PATIENCE_OF_FEW = 5
# Batches of at most 128 tokens have 8 lengths then.
_COMPILED_LENGTHS = 16


def resolve(
    config: TrainConfig,
    *,
    columns: Mapping[str, str | None],
    max_seq_length: int,
    task: Task,
    preset: Preset,
    rows: int,
    validation_rows: int,
    num_parameters: int,
    num_replicas: int,
    may_probe: bool,
) -> TrainConfig:
    """Returns the settings with those that were left open decided.

    All but `calibrate`: the mistakes of the trained model decide that.

    Args:
        columns: the columns that were chosen, by setting.
        max_seq_length: where texts were cut.
        rows: of the training split, or windows over their texts.
        validation_rows: of the validation split.
        num_parameters: of the backbone.
        num_replicas: which share a batch.
        may_probe: whether the head can start from a linear probe.
    """
    head_init = config.head_init
    if head_init == "auto":
        may_probe = may_probe and config.task in PROBED_TASKS
        head_init = "linear_probe" if may_probe else "random"
    is_contrastive = config.contrastive == "true" or (
        config.contrastive == "auto"
        and config.task == "classification"
        and head_init == "linear_probe"
        and not config.freeze_backbone
        and config.num_train_epochs != 0
        # Pairs would be of a piece of a batch.
        and config.accumulate_steps == 1
        and rows <= _CONTRASTIVE_ROWS * task.num_outputs
    )
    batch_size = config.train_batch_size
    if batch_size is None:
        parts = num_replicas * config.accumulate_steps
        has_few = rows < _FEW_ROWS and not is_contrastive
        batch_size = _BATCH_SIZE_OF_FEW if has_few else _BATCH_SIZE
        # Each batch is filled up to its size.
        batch_size = math.ceil(min(batch_size, rows) / parts) * parts
    epochs = config.num_train_epochs
    if epochs is None:
        steps = math.ceil(rows / batch_size)
        fewest = _FEWEST_STEPS
        if config.task == "classification" and head_init == "linear_probe":
            fewest = _FEWEST_STEPS_FROM_PROBE
        epochs = max(_EPOCHS, math.ceil(fewest / steps))
        epochs = min(epochs, _MOST_EPOCHS)
        if is_contrastive:
            # Little is left to learn, and more would be learnt by heart.
            epochs = 1 + _EPOCHS * (rows >= _FEW_AFTER_PAIRS)
        if config.freeze_backbone and head_init == "linear_probe":
            # The probe is the best head already.
            epochs = 0
    # Then validation rows have a say in nothing: the epoch is kept anyhow.
    chooses_nothing = (
        is_contrastive
        and epochs == 1
        and not config.validation_file
        and validation_rows < FEW_ROWS_TO_TELL
    )
    calibrate = config.calibrate
    if calibrate is None and (
        config.task != "classification" or config.long_text == "window"
    ):
        calibrate = False
    metric = config.metric_for_best_model
    patience = config.early_stopping_patience
    is_rough = task.is_multiclass and validation_rows < FEW_ROWS_TO_TELL
    if metric is None:
        metric = "loss" if is_rough else task.selection_metric
    if patience is None and metric == "loss" and is_rough:
        patience = _PATIENCE_OF_FEW
    learning_rate = config.learning_rate
    if learning_rate is None:
        learning_rate = optimizer.default_learning_rate(
            num_parameters,
            freeze_backbone=config.freeze_backbone,
            has_lora=config.lora_rank is not None,
        )
    return dataclasses.replace(
        config,
        **columns,
        max_seq_length=max_seq_length,
        metric_for_best_model=metric,
        early_stopping_patience=patience,
        contrastive="true" if is_contrastive else "false",
        refit=chooses_nothing if config.refit is None else config.refit,
        calibrate=calibrate,
        pooling=preset.pooling if config.pooling == "auto" else config.pooling,
        head_init=head_init,
        # XLA compiles the step for each length that occurs.
        pad_to_multiple_of=config.pad_to_multiple_of
        or (_COMPILED_LENGTHS if config.jit_compile == "true" else 1),
        learning_rate=learning_rate,
        train_batch_size=batch_size,
        num_train_epochs=epochs,
    )


def describe(given: TrainConfig, chosen: TrainConfig, *, rows: int) -> str:
    """Says in a line which of the flags that matter were decided, and how."""
    decided = [
        f"--{name}={str(getattr(chosen, name)).lower()}"
        for name in (
            "max_seq_length", "num_train_epochs", "train_batch_size",
            "learning_rate", "pooling", "head_init", "contrastive",
            "metric_for_best_model", "early_stopping_patience", "refit",
        )
        if getattr(given, name) in (None, "auto")
        and getattr(chosen, name) not in (None, False)
    ]  # fmt: skip
    return (
        f"Chosen for {rows:,} training rows: {' '.join(decided) or 'nothing'}"
    )
