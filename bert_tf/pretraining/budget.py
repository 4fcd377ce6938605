"""The budget of a pretraining, in steps or wall-clock time."""

import dataclasses
import os
import time

import tensorflow as tf

from bert_tf import run_dir

# How often the clock is written down: what a kill can lose of it.
_CLOCK_SECONDS = 1.0


@dataclasses.dataclass(frozen=True)
class Budget:
    """So many steps, or so many seconds.

    Attributes:
        steps: in all, or None.
        seconds: of training, or None.
    """

    steps: int | None = None
    seconds: float | None = None

    def progress(self, step: int, seconds: float) -> float:
        """Returns the share that is spent, 1.0 at the end.

        Args:
            step: steps done.
            seconds: spent training, before interruptions too.
        """
        if self.seconds is not None:
            return min(1.0, seconds / self.seconds)
        return min(1.0, step / self.steps) if self.steps else 1.0


class Clock:
    """The seconds spent training, kept on disk so that a kill loses none.

    The time from the last checkpoint to a kill is spent as well: the steps
    are done again, but the budget does not begin anew.

    Args:
        path: of the file, or None to keep nothing.
        seconds: spent before, by the checkpoint.
    """

    def __init__(self, path: str | None, seconds: float):
        self._path = path
        if path is not None and os.path.exists(path):
            seconds = max(seconds, run_dir.read_json(path)["seconds"])
        self._start = time.monotonic() - seconds
        self._written = time.monotonic()

    def seconds(self) -> float:
        """Returns the seconds spent, and notes them from time to time."""
        now = time.monotonic()
        if self._path is not None and now - self._written >= _CLOCK_SECONDS:
            self._written = now
            run_dir.write_json(self._path, {"seconds": now - self._start})
        return now - self._start


_REPEATS = 5
_SIDE = {"CPU": 2048, "GPU": 8192, "TPU": 8192}


def matrix_product_limit(dtype: str) -> float:
    """Measures the operations a second of large products of a type.

    Args:
        dtype: float32, bfloat16 or float16.
    """
    kind = next(k for k in _SIDE if tf.config.list_logical_devices(k))
    for other in ("GPU", "TPU"):
        if tf.config.list_logical_devices(other):
            kind = other
    side = _SIDE[kind]
    matrix = tf.cast(tf.random.stateless_normal([side, side], [1, 1]), dtype)

    @tf.function(autograph=False)
    def product():
        return tf.reduce_sum(tf.cast(tf.matmul(matrix, matrix), tf.float32))

    float(product())
    seconds = []
    for _ in range(_REPEATS):
        start = time.monotonic()
        # The number is fetched, so that the device has done it.
        float(product())
        seconds.append(time.monotonic() - start)
    return 2.0 * side**3 / min(seconds)
