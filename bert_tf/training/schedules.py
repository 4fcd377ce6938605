"""Learning-rate schedules: warm-up, then decay by the fraction that is left.

To add one, write a function of that fraction, add it to SCHEDULES, and its name
to `config/base.py`, which lists them without TensorFlow.
"""

import math

import keras
from keras import ops

from bert_tf.config.base import BaseConfig


def linear(left):
    """Falls linearly to 0, as in google-research/bert."""
    return left


def cosine(left):
    """Falls along half a cosine to 0 (1608.03983)."""
    return 0.5 * (1.0 - ops.cos(math.pi * left))


def constant(left):
    """Stays."""
    return ops.ones_like(left)


# From the fraction left after the warm-up, 1 to 0, to a factor.
SCHEDULES = {"linear": linear, "cosine": cosine, "constant": constant}


def factor(name: str, done, *, total: float, warmup: float, ahead: float = 0.0):
    """Returns the factor on the peak learning rate, 0 to 1.

    Args:
        name: one of SCHEDULES.
        done: of `total`, a number or <float32>[]; in steps or in any unit.
        total: the whole training.
        warmup: of `total`, while the factor rises linearly; with half of it
            `linear` is the one-cycle schedule of 2212.14034.
        ahead: of `total`, how far the rise is ahead: a step, where the first
            one is to count.
    """
    done = ops.convert_to_tensor(done, "float32")
    rising = (done + ahead) / warmup if warmup else ops.ones_like(done)
    # A single step may be all warm-up.
    left = (total - done) / max(total - warmup, ahead)
    falling = SCHEDULES[name](ops.clip(left, 0.0, 1.0))
    return ops.clip(ops.minimum(rising, falling), 0.0, 1.0)


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
        return self._config["peak"] * factor(
            self._config["name"],
            ops.cast(step, "float32"),
            total=self._config["total_steps"],
            warmup=self._config["warmup_steps"],
            ahead=1.0,
        )

    def get_config(self):
        """Returns the constructor's arguments."""
        return dict(self._config)


def build_schedule(
    config: BaseConfig, *, peak: float, steps: int
) -> WarmupSchedule:
    """Returns the schedule of the settings over so many steps."""
    return WarmupSchedule(
        config.learning_rate_schedule,
        peak=peak,
        total_steps=steps,
        warmup_steps=round(steps * config.warmup_proportion),
    )


@keras.saving.register_keras_serializable(package="bert_tf")
class SchedulesInTurn(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule for the first steps, and another for those after them."""

    def __init__(self, first: WarmupSchedule, then: WarmupSchedule):
        super().__init__()
        self._first, self._then = first, then

    def __call__(self, step):
        """Returns the learning rate of a step, counted from 0."""
        step = ops.cast(step, "float32")
        steps = self._first.get_config()["total_steps"]
        return ops.where(
            step < steps, self._first(step), self._then(step - steps)
        )

    def get_config(self):
        """Returns the constructor's arguments."""
        return {"first": self._first, "then": self._then}
