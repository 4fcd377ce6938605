"""A line of progress with the time left."""

import sys
import time

import keras

# Seconds between two lines where the output is a file, not a terminal.
_SECONDS_BETWEEN_LINES = 15
_SECONDS_BETWEEN_UPDATES = 0.5


class Progress(keras.callbacks.Callback):
    """Writes epoch, step, loss, texts/s and time left to standard error.

    On a terminal the line is redrawn; in a log file there is a new one every
    15 seconds.
    """

    def __init__(self, batch_size: int):
        super().__init__()
        self._batch_size = batch_size
        self._on_terminal = sys.stderr.isatty()

    def on_train_begin(self, logs=None):
        """Starts the clock."""
        self._start = self._last = time.monotonic()
        self._first_step = None

    def on_epoch_begin(self, epoch, logs=None):
        """Notes the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        """Writes a line if it is time for one, or the epoch ends."""
        steps = self.params["steps"]
        done = self._epoch * steps + batch + 1
        now = time.monotonic()
        if self._first_step is None:
            # The first step holds the tracing and compiling.
            self._first_step, self._first_step_end = done, now
        pause = (
            _SECONDS_BETWEEN_UPDATES
            if self._on_terminal
            else _SECONDS_BETWEEN_LINES
        )
        if now - self._last < pause and batch + 1 < steps:
            return
        self._last = now
        elapsed = now - self._first_step_end
        rate = (done - self._first_step) / elapsed if elapsed > 0 else 0.0
        total = steps * self.params["epochs"]
        left = (total - done) / rate if rate else float("nan")
        line = (
            f"epoch {self._epoch + 1}/{self.params['epochs']}  "
            f"step {batch + 1}/{steps}  loss {logs['loss']:.4f}  "
            f"{rate * self._batch_size:.1f} texts/s  "
            f"{format_seconds(left)} left"
        )
        if self._on_terminal:
            end = "\n" if batch + 1 == steps else ""
            sys.stderr.write(f"\r\x1b[K{line}{end}")
        else:
            sys.stderr.write(f"{line}\n")
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
