"""BERT's AdamW with linear warm-up and linear decay."""

from collections.abc import Sequence

import keras
import numpy as np

# Without decay: biases and LayerNorm, as in google-research/bert.
_NO_DECAY = ("bias", "gamma", "beta", "output_bias")
_CLIP_NORM = 1.0


@keras.saving.register_keras_serializable(package="bert_tf")
class WarmupLinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly from 0, then falls linearly to 0 at the last step."""

    def __init__(self, peak: float, warmup_steps: int, total_steps: int):
        super().__init__()
        self.peak = peak
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps

    def __call__(self, step):
        """Returns the learning rate of a step, counted from 0."""
        step = keras.ops.cast(step, "float32")
        rising = (step + 1.0) / max(self.warmup_steps, 1)
        falling = (self.total_steps - step) / max(
            self.total_steps - self.warmup_steps, 1
        )
        factor = keras.ops.minimum(rising, falling)
        return self.peak * keras.ops.clip(factor, 0.0, 1.0)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
        }


@keras.saving.register_keras_serializable(package="bert_tf")
class LayerwiseAdamW(keras.optimizers.AdamW):
    """AdamW with a factor on each variable's learning rate.

    Lower layers hold what holds for all texts and are to change less: Howard
    and Ruder 2018 (1801.06146), Clark et al. 2020 (2003.10555). The decay of
    the weights keeps the rate of all.
    """

    def __init__(self, *args, factors: Sequence[float], **kwargs):
        super().__init__(*args, **kwargs)
        self._factors = tuple(factors)

    def update_step(self, gradient, variable, learning_rate):
        """Updates a variable at its own rate."""
        factor = self._factors[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * factor)


def default_learning_rate(
    num_parameters: int, *, freeze_backbone: bool, has_lora: bool = False
) -> float:
    """Chooses a peak learning rate by the size of the backbone.

    google-research/bert's grids: 2e-5 to 5e-5 for BERT-base and larger, 3e-5
    to 3e-4 for the smaller ones. A head alone is trained at a higher rate,
    and so are the few weights of LoRA.
    """
    if freeze_backbone or has_lora:
        return 1e-3
    if num_parameters < 15e6:
        return 3e-4
    if num_parameters < 60e6:
        return 5e-5
    return 3e-5 if num_parameters < 200e6 else 2e-5


def build_optimizer(
    *,
    variables: list[keras.Variable],
    learning_rate: float,
    warmup_proportion: float,
    total_steps: int | None,
    weight_decay: float,
    mixed_precision: str,
    num_replicas: int = 1,
    factors: Sequence[float] | None = None,
) -> keras.optimizers.Optimizer:
    """Builds the optimizer; under float16 it scales the loss.

    With `factors`, one a variable, these are on the learning rate. Without
    `total_steps` the learning rate is a variable that the training sets at
    each step.

    `loop` hands over the mean of the replicas' gradients, which Keras clips
    and then sums up: hence a clip norm divided by the replicas.
    """
    schedule = learning_rate
    if total_steps is not None:
        schedule = WarmupLinearDecay(
            learning_rate, round(total_steps * warmup_proportion), total_steps
        )
    settings = {
        "weight_decay": weight_decay,
        "beta_2": 0.999,
        "epsilon": 1e-6,
        "global_clipnorm": _CLIP_NORM / num_replicas,
    }
    if factors is None or np.all(np.equal(factors, 1.0)):
        optimizer = keras.optimizers.AdamW(schedule, **settings)
    else:
        optimizer = LayerwiseAdamW(schedule, factors=factors, **settings)
    optimizer.exclude_from_weight_decay(
        var_list=[v for v in variables if v.name in _NO_DECAY]
    )
    if mixed_precision == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(variables)
    return optimizer
