"""A loss that is no number any more, in words."""

from bert_tf.config import TrainConfig
from bert_tf.errors import InputError


def error(
    config: TrainConfig, *, loss: float, epoch: int, step: str, rate: float
) -> InputError:
    """Returns what to raise when the loss of a step is not finite.

    Args:
        config: the training's.
        loss: what it became.
        epoch: counted from 1.
        step: in words, "3 of 90".
        rate: the learning rate.
    """
    return InputError(
        f"the training loss became {loss} in epoch {epoch}, "
        f"step {step}, at learning rate "
        f"{rate:.3g} (peak {config.learning_rate:.3g}); try a lower "
        "--learning_rate"
        + (
            " or --mixed_precision=float32"
            if config.mixed_precision != "float32"
            else ""
        )
    )
