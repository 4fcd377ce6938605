"""BERT's AdamW with linear warm-up and linear decay."""

import keras

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


def default_learning_rate(
    num_parameters: int, *, freeze_backbone: bool
) -> float:
    """Chooses a peak learning rate by the size of the backbone.

    google-research/bert's grids: 2e-5 to 5e-5 for BERT-base and larger, 3e-5
    to 3e-4 for the smaller ones. A head alone is trained at a higher rate.
    """
    if freeze_backbone:
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
) -> keras.optimizers.Optimizer:
    """Builds the optimizer; under float16 it scales the loss.

    Without `total_steps` the learning rate is a variable that the training
    sets at each step.

    `loop` hands over the mean of the replicas' gradients, which Keras clips
    and then sums up: hence a clip norm divided by the replicas.
    """
    schedule = learning_rate
    if total_steps is not None:
        schedule = WarmupLinearDecay(
            learning_rate, round(total_steps * warmup_proportion), total_steps
        )
    optimizer = keras.optimizers.AdamW(
        schedule,
        weight_decay=weight_decay,
        beta_2=0.999,
        epsilon=1e-6,
        global_clipnorm=_CLIP_NORM / num_replicas,
    )
    optimizer.exclude_from_weight_decay(
        var_list=[v for v in variables if v.name in _NO_DECAY]
    )
    if mixed_precision == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(variables)
    return optimizer
