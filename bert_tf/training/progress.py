"""A progress bar on a terminal, lines in a log file."""

import sys
import time

import keras
import numpy as np
from absl import logging

from bert_tf import quiet
from bert_tf.training.training_warnings import WarningCallback


def build_callbacks(
    run_path: str,
    *,
    batch_size: int,
    log_steps: int,
    labels: np.ndarray | None,
    **options,
) -> list[keras.callbacks.Callback]:
    """Returns the callbacks of every training, for the process that writes.

    Args:
        labels: None where a text has not one class.
        **options: of `training_warnings.of_history`.
    """
    callbacks = [Progress(batch_size=batch_size, log_steps=log_steps)]
    if labels is not None:
        callbacks.append(WarningCallback(run_path, labels, **options))
    return callbacks


def log_epoch(
    row: dict,
    *,
    metric: str,
    is_contrastive: bool,
    is_best: bool,
    is_kept_anyhow: bool,
) -> None:
    """Logs how good the weights are after an epoch.

    Args:
        row: of history.csv.
        metric: that chooses the best epoch, told beside the loss.
        is_contrastive: whether the epoch was.
        is_best: whether its weights are kept.
        is_kept_anyhow: whether they are, however good they are.
    """
    name = f"epoch {row['epoch']}" + " (contrastive)" * is_contrastive
    if row["epoch"] == 0:
        name += " (linear probe)"
    line = f"{name}: validation loss {row['eval_loss']:.4f}"
    if metric != "loss":
        value = row.get(f"eval_{metric}")
        shown = "undefined" if value is None else f"{value:.4f}"
        line += f", {metric} {shown}"
    if is_kept_anyhow:
        line += " (kept: so few rows cannot tell)"
    elif is_best:
        line += " (best so far)"
    logging.info("%s", line)


class Progress(keras.callbacks.Callback):
    """Writes epoch, step, loss, texts/s and time left to standard error.

    On a terminal and in a notebook it is Keras' progress bar; in a log file
    there is a line every `log_steps` steps and at the end of each epoch.
    """

    def __init__(self, *, batch_size: int, log_steps: int):
        super().__init__()
        self._batch_size = batch_size
        self._log_steps = log_steps
        # Where Keras draws its bar.
        self._has_bar = sys.stdout.isatty() or quiet.is_notebook()

    def on_train_begin(self, logs=None):
        """Starts the clock."""
        self._first_step = None

    def on_epoch_begin(self, epoch, logs=None):
        """Notes the epoch, and draws its bar."""
        self._epoch = epoch
        self._last_line = 0
        # The linear probe, epoch 0, takes no steps.
        if self._has_bar and self.params["steps"]:
            sys.stdout.write(f"Epoch {epoch + 1}/{self.params['epochs']}\n")
            # The loss is a mean over the epoch already.
            self._bar = keras.utils.Progbar(
                self.params["steps"], stateful_metrics=["loss"]
            )

    def on_train_batch_end(self, batch, logs=None):
        """Draws the bar, or writes a line if it is time for one."""
        steps = self.params["steps"]
        if self._has_bar:
            self._bar.update(
                batch + 1,
                [("loss", logs["loss"])],
                finalize=batch + 1 == steps,
            )
            return
        done = self.params["steps_before"] + batch + 1
        now = time.monotonic()
        if self._first_step is None:
            # The first step holds the tracing and compiling.
            self._first_step, self._first_step_end = done, now
        # Several steps may be done in one call.
        if batch + 1 - self._last_line < self._log_steps and batch + 1 < steps:
            return
        self._last_line = batch + 1
        elapsed = now - self._first_step_end
        rate = (done - self._first_step) / elapsed if elapsed > 0 else 0.0
        left = self.params["steps_in_all"] - done
        left = left / rate if rate else float("nan")
        sys.stderr.write(
            f"epoch {self._epoch + 1}/{self.params['epochs']}  "
            f"step {batch + 1}/{steps}  loss {logs['loss']:.4f}  "
            f"{rate * self._batch_size:.1f} texts/s  "
            f"{format_seconds(left)} left\n"
        )
        sys.stderr.flush()


def format_seconds(seconds: float) -> str:
    """Returns 45 s, 3 min 20 s or 2 h 05 min."""
    if seconds != seconds:
        return "unknown time"
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
