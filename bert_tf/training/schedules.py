"""Learning-rate schedules: a warm-up, then a decay by the share that is done.

To add one, write a function of that share and a line of SCHEDULES, and its name
in `config/base.py`, which knows them without TensorFlow.
"""

import math

import keras
from keras import ops

from bert_tf.config.base import SCHEDULES as NAMES


def linear(share):
    """Falls linearly to 0, as in google-research/bert."""
    return 1.0 - share


def cosine(share):
    """Falls along half a cosine to 0 (1608.03983)."""
    return 0.5 * (1.0 + ops.cos(math.pi * share))


def constant(share):
    """Stays."""
    return ops.ones_like(share)


# From the share of the steps after the warm-up, 0 to 1, to a factor.
SCHEDULES = dict(zip(NAMES, (linear, cosine, constant), strict=True))


def factor(name: str, progress, *, warmup: float, step: float = 0.0):
    """Returns the factor on the peak learning rate, 0 to 1.

    Args:
        name: one of SCHEDULES.
        progress: share of the training that is done, a number or <float32>[].
        warmup: share in which the factor rises linearly; with half the budget
            `linear` is the one-cycle schedule of 2212.14034.
        step: share of one step, which the warm-up is ahead, so that the first
            step counts.
    """
    progress = ops.convert_to_tensor(progress, "float32")
    rising = (progress + step) / warmup if warmup else 1.0
    share = ops.clip((progress - warmup) / (1.0 - warmup), 0.0, 1.0)
    return ops.clip(ops.minimum(rising, SCHEDULES[name](share)), 0.0, 1.0)


@keras.saving.register_keras_serializable(package="bert_tf")
class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule over a known number of steps."""

    def __init__(
        self, name: str, *, peak: float, total_steps: int, warmup_steps: int
    ):
        super().__init__()
        self._config = {
            "name": name,
            "peak": peak,
            "total_steps": total_steps,
            "warmup_steps": warmup_steps,
        }

    def __call__(self, step):
        """Returns the learning rate of a step, counted from 0."""
        total = self._config["total_steps"]
        return self._config["peak"] * factor(
            self._config["name"],
            ops.cast(step, "float32") / total,
            warmup=self._config["warmup_steps"] / total,
            step=1.0 / total,
        )

    def get_config(self):
        """Returns the constructor's arguments."""
        return dict(self._config)
