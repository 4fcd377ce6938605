"""A loss that is no number any more, in words."""

import math

from bert_tf.config.base import BaseConfig
from bert_tf.errors import InputError


def check_finite(
    loss: float, config: BaseConfig, *, where: str, rate: float
) -> None:
    """Raises InputError where the loss of a step is not finite.

    Args:
        loss: what it became.
        config: the training's.
        where: in words, "in epoch 1, step 3 of 90".
        rate: the learning rate.
    """
    if math.isfinite(loss):
        return
    raise InputError(
        f"the training loss became {loss} {where}, at learning rate "
        f"{rate:.3g} (peak {config.learning_rate:.3g}); try a lower "
        "--learning_rate"
        + (
            " or --mixed_precision=float32"
            if config.mixed_precision != "float32"
            else ""
        )
    )
