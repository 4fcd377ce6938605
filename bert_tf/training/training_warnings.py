"""Warns of problems while a training runs."""

import dataclasses
import math
import os
from collections.abc import Sequence

import keras
import numpy as np
import pandas as pd
from absl import logging

from bert_tf import run_dir
from bert_tf.data import data_report as data_report_lib
from bert_tf.data import input_pipeline
from bert_tf.errors import InputError
from bert_tf.text import vocabulary

# A loss so near to that of guessing by the classes' shares has not moved.
_UNMOVED = 0.98
# Accuracy in training above that in validation, in shares.
_OVERFITTED = 0.1
# Epochs in a row with a worse validation loss than the best.
_WORSENING = 2
# By less it does not matter, near 0 in particular: in nats, and of the lowest.
_SMALLEST_RISE, _SMALLEST_SHARE = 0.01, 0.1
# Before so many no training has learned to tell classes apart.
_FEWEST_STEPS = 30
# Batches of a single class, where chance would make few such.
_ONE_CLASS_BATCHES = 0.5
_MOST_BY_CHANCE = 0.1
# Fewer rows are sorted at random too often.
_FEWEST_ROWS = 20
# Of fewer texts one answer to all is chance.
_FEWEST_TEXTS = 10


@dataclasses.dataclass(frozen=True)
class TrainingWarning:
    """Something that goes wrong.

    Attributes:
        kind: one_class, loss_not_moving, overfitting, validation_worsens,
            labels_sorted, one_class_batches, truncation or unknown_tokens.
        epoch: the epoch it was seen in; None for the data.
        message: what it is and what to do.
    """

    kind: str
    epoch: int | None
    message: str

    def to_json(self) -> dict:
        """Returns the fields as metrics.json has them."""
        return dataclasses.asdict(self)


def before_training(
    data_report: dict,
    *,
    labels: np.ndarray | None,
    lengths: np.ndarray,
    batch_size: int,
    seed: int,
    max_truncated_share: float,
) -> list[TrainingWarning]:
    """Returns and logs what is wrong before the first step.

    Args:
        labels: <int>[rows] class ids of the training rows; None where a text
            has not one class.
        lengths: <int>[rows] tokens of the training rows.
        max_truncated_share: of the texts, how many may be cut.
    """
    data_warnings = of_data(
        labels, data_report, max_truncated_share=max_truncated_share
    )
    if labels is not None:
        plan = input_pipeline.plan_training_epoch(
            lengths, batch_size=batch_size, seed=seed, epoch=0
        )
        data_warnings += of_batches(labels, plan)
    for warning in data_warnings:
        logging.warning("Warning, %s", warning.message)
    return data_warnings


def of_data(
    labels: np.ndarray | None,
    data_report: dict,
    *,
    max_truncated_share: float,
) -> list[TrainingWarning]:
    """Returns what is wrong with the data.

    Args:
        labels: <int>[rows] class ids of the training rows, in their order;
            None where they have not one class each.
        max_truncated_share: of the texts, how many may be cut.
    """
    messages = {}
    if labels is not None and _are_sorted(labels):
        messages["labels_sorted"] = (
            "the training rows are sorted by label. Training shuffles "
            "them, but what reads the files in their order, or takes the "
            "first or the last rows of them, meets one class at a time."
        )
    share = data_report["truncated_share"]
    if share > max_truncated_share:
        messages["truncation"] = (
            f"{share:.1%} of the texts are longer than --max_seq_length="
            f"{data_report['max_seq_length']} and are cut; "
            f"{data_report_lib.describe_recommended(data_report)}."
        )
    share = data_report["unknown_share"]
    if share > vocabulary.LARGE_UNKNOWN_SHARE:
        messages["unknown_tokens"] = data_report_lib.describe_unknown(
            share, data_report["unknown_examples"]
        )
    return _warnings(messages)


def _warnings(
    messages: dict[str, str], epoch: int | None = None
) -> list[TrainingWarning]:
    return [
        TrainingWarning(kind, epoch, message)
        for kind, message in messages.items()
    ]


def _are_sorted(labels: np.ndarray) -> bool:
    changes = int((np.diff(labels) != 0).sum())
    classes = len(np.unique(labels))
    return len(labels) >= _FEWEST_ROWS and 1 < classes == changes + 1


def of_batches(
    labels: np.ndarray, plan: Sequence[np.ndarray]
) -> list[TrainingWarning]:
    """Returns whether batches hold one class only.

    Args:
        labels: <int>[rows] class ids.
        plan: the row numbers of each batch.
    """
    sizes = np.array([len(batch) for batch in plan])
    plan = [batch for batch, size in zip(plan, sizes, strict=True) if size > 1]
    if not plan or len(np.unique(labels)) < 2:
        return []
    single = np.mean([len(np.unique(labels[batch])) == 1 for batch in plan])
    shares = np.bincount(labels) / len(labels)
    by_chance = (shares ** len(plan[0])).sum()
    if single <= _ONE_CLASS_BATCHES or by_chance > _MOST_BY_CHANCE:
        return []
    message = (
        f"{single:.0%} of the batches hold texts of one class only: the "
        "length of a text gives its class away, or the rows are not "
        "shuffled. Look at the texts; a larger --train_batch_size mixes "
        "them better."
    )
    return _warnings({"one_class_batches": message})


def first_telling_epoch(
    *, steps: int, num_epochs: int, warmup_proportion: float
) -> int:
    """Returns the epoch from which on it is told that nothing is learned.

    Not before the warm-up is over and some steps are done; in the last one in
    any case.

    Args:
        steps: of an epoch.
        num_epochs: of the training.
        warmup_proportion: of all steps.
    """
    needed = max(_FEWEST_STEPS, steps * num_epochs * warmup_proportion)
    return min(num_epochs, math.ceil(needed / steps))


def of_history(
    history: pd.DataFrame,
    labels: np.ndarray,
    *,
    class_weight: str,
    metric: str,
    probed_epochs: int,
    from_epoch: int,
) -> list[TrainingWarning]:
    """Returns what the epochs so far tell.

    Args:
        history: rows as in history.csv.
        labels: <int>[rows] class ids of the training rows.
        metric: that chooses the best epoch.
        probed_epochs: after epoch 0, whose heads are linear probes as well.
        from_epoch: see `first_telling_epoch`.
    """
    messages = {}
    last = history.iloc[-1]
    epoch = int(last["epoch"])
    is_early = epoch < from_epoch
    is_told = last["eval_samples"] >= _FEWEST_TEXTS
    if last["eval_predicted_classes"] == 1 and is_told and not is_early:
        messages["one_class"] = (
            f"epoch {epoch}: the model answers one class to every validation "
            "text. Try another --learning_rate, or --class_weight=balanced "
            "where one class is rare."
        )
    counts = np.bincount(labels)
    shares = counts[counts > 0] / len(labels)
    guessing = (
        np.log(len(shares))
        if class_weight == "balanced"
        else -(shares * np.log(shares)).sum()
    )
    if last["loss"] >= _UNMOVED * guessing and not is_early:
        messages["loss_not_moving"] = (
            f"epoch {epoch}: the training loss is {last['loss']:.4f}; "
            f"guessing by the classes' shares gives {guessing:.4f}. The "
            "model has not begun to learn: try a higher --learning_rate, "
            "more epochs, or check that the labels belong to the texts."
        )
    gap = last["accuracy"] - last["eval_accuracy"]
    # A linear probe fits the rows that it is fitted to, which harms nothing.
    if gap > _OVERFITTED and epoch > probed_epochs:
        messages["overfitting"] = (
            f"epoch {epoch}: accuracy is {last['accuracy']:.3f} in training "
            f"and {last['eval_accuracy']:.3f} in validation. Fewer epochs, "
            "more --dropout or more texts narrow the gap."
        )
    best = int(history["eval_loss"].argmin())
    first = history.iloc[best]
    rise = last["eval_loss"] - first["eval_loss"]
    # Chosen by the loss, the epoch where it was lowest is kept anyway.
    smallest = max(_SMALLEST_RISE, _SMALLEST_SHARE * first["eval_loss"])
    is_worse = len(history) - 1 - best >= _WORSENING and rise > smallest
    # Surer than right, which a temperature mends, but right more often, by a
    # standard error.
    before = first["eval_accuracy"]
    error = np.sqrt(before * (1 - before) / last["eval_samples"])
    after = history["eval_accuracy"][best + 1 :]
    is_better = bool((after > before + error).any())
    if is_worse and not is_better and metric != "loss":
        lowest = int(first["epoch"])
        messages["validation_worsens"] = (
            f"epoch {epoch}: the validation loss was lowest in epoch {lowest} "
            f"({first['eval_loss']:.4f}) and is now {last['eval_loss']:.4f}: "
            f"stop at epoch {lowest}, with --num_train_epochs={lowest} or "
            "--early_stopping_patience."
        )
    return _warnings(messages, epoch)


class WarningCallback(keras.callbacks.Callback):
    """Logs what `of_history` finds, each kind once, after each epoch."""

    def __init__(self, run_path: str, labels: np.ndarray, **options):
        super().__init__()
        self._run_path = run_path
        self._labels = labels
        self._options = options
        self._told: set[str] = set()

    def on_epoch_end(self, epoch, logs=None):
        """Looks at history.csv, which also has the epochs before a resume."""
        for warning in run_warnings(
            self._run_path, self._labels, **self._options
        ):
            if warning.kind not in self._told:
                self._told.add(warning.kind)
                logging.warning("Warning, %s", warning.message)


def run_warnings(
    run_path: str, labels: np.ndarray, **options
) -> list[TrainingWarning]:
    """Returns what the history of a run folder tells, see `of_history`."""
    history = pd.read_csv(os.path.join(run_path, run_dir.HISTORY))
    return of_history(history, labels, **options)


def check_finite(
    loss: float, *, where: str, learning_rate: float, mixed_precision: bool
) -> None:
    """Raises InputError where the loss of a step is not finite.

    Args:
        where: in words, "in epoch 1, step 3 of 90".
        mixed_precision: whether another precision might help.
    """
    if math.isfinite(loss):
        return
    raise InputError(
        f"the training loss became {loss} {where}, at learning rate "
        f"{learning_rate:.3g}; try a lower --learning_rate"
        + (" or --mixed_precision=float32" if mixed_precision else "")
    )
