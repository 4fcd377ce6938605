"""BERT's AdamW, and the default learning rate by model size."""

from collections.abc import Collection, Sequence

import keras
import tensorflow as tf

# Without decay: biases and LayerNorm, as in google-research/bert.
_NO_DECAY = ("bias", "gamma", "beta", "output_bias")
_CLIP_NORM = 1.0


class FusedAdamW(keras.optimizers.AdamW):
    """Keras' AdamW in one pass over memory, with a factor on each rate.

    Clipping, decay and update of a variable are one kernel, which XLA compiles
    once for each shape: MiniLM's 105 variables have 14 shapes. Keras' own many
    operations take 4 times as long per step, and compiled as a whole twice as
    long, after seconds of compiling: docs/performance.md.

    Lower layers hold what holds for all texts and are to change less: Howard
    and Ruder 2018 (1801.06146), Clark et al. 2020 (2003.10555). The decay of
    the weights keeps the rate of all.

    Args:
        factors: on the learning rate, one for each variable.
        no_decay: names of variables that do not decay.
        fused: whether to use the kernel, which goes with one device; else
            Keras' operations do the same.
        **kwargs: those of keras.optimizers.AdamW, global_clipnorm among them.
    """

    def __init__(
        self,
        *args,
        factors: Sequence[float],
        no_decay: Collection[str],
        fused: bool,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self._factors = tuple(factors)
        self._no_decay = no_decay
        self._fused = fused

    def build(self, variables):
        """Builds the moments, and notes which variables do not decay."""
        self.exclude_from_weight_decay(
            var_list=[v for v in variables if v.name in self._no_decay]
        )
        super().build(variables)

    def update_step(self, gradient, variable, learning_rate):
        """Updates a variable at its own rate, by Keras' operations."""
        factor = self._factors[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * factor)

    def apply(self, grads, trainable_variables=None):
        """Updates all variables by their gradients, in their order."""
        if not self._fused:
            super().apply(grads, trainable_variables)
            return
        rate = tf.cast(self.learning_rate, tf.float32)
        step = tf.cast(self.iterations.value + 1, tf.float32)
        corrected = (
            rate * tf.sqrt(1.0 - self.beta_2**step) / (1.0 - self.beta_1**step)
        )
        # Each once, for tracing takes longer than the arithmetic.
        rates = {factor: corrected * factor for factor in {*self._factors}}
        decays = {True: 1.0 - rate * self.weight_decay, False: tf.ones([])}
        limit = self.global_clipnorm
        scale = limit / tf.maximum(tf.linalg.global_norm(grads), limit)
        for number, (gradient, variable) in enumerate(
            zip(grads, self._trainable_variables, strict=True)
        ):
            _update(
                variable.value,
                self._momentums[number].value,
                self._velocities[number].value,
                gradient,
                scale,
                rates[self._factors[number]],
                decays[variable.name not in self._no_decay],
                beta_1=self.beta_1,
                beta_2=self.beta_2,
                epsilon=self.epsilon,
            )
        self.iterations.value.assign_add(1)


# Of the module, so that trainings in one process compile a shape once.
@tf.function(jit_compile=True, autograph=False)
def _update(
    variable, momentum, velocity, gradient, scale, rate, decay,
    *, beta_1, beta_2, epsilon,
):  # fmt: skip
    """Decays a variable and moves it, as keras.optimizers.AdamW does."""
    gradient *= scale
    new_momentum = momentum + (gradient - momentum) * (1.0 - beta_1)
    new_velocity = velocity + (gradient * gradient - velocity) * (1.0 - beta_2)
    momentum.assign(new_momentum)
    velocity.assign(new_velocity)
    variable.assign(
        variable * decay
        - rate * new_momentum / (tf.sqrt(new_velocity) + epsilon)
    )


def default_learning_rate(
    num_parameters: int, *, freeze_backbone: bool, has_lora: bool = False
) -> float:
    """Chooses a peak learning rate by the size of the backbone.

    Of google-research/bert's grids (2e-5 to 5e-5 for BERT-base and larger, 3e-5
    to 3e-4 for the smaller ones) what held-out rows preferred, see
    docs/defaults.md. A head alone is trained at a higher rate,
    and so are the few weights of LoRA.
    """
    if freeze_backbone or has_lora:
        return 1e-3
    if num_parameters < 15e6:
        return 3e-4
    if num_parameters < 60e6:
        return 1e-4
    return 3e-5 if num_parameters < 200e6 else 2e-5


def build_optimizer(
    *,
    variables: list[keras.Variable],
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
    weight_decay: float,
    mixed_precision: str,
    num_replicas: int = 1,
    factors: Sequence[float] | None = None,
    fused: bool = False,
) -> keras.optimizers.Optimizer:
    """Builds the optimizer; under float16 it scales the loss.

    With `factors`, one for each variable, these are on the learning rate.
    `fused` is for one device, see `FusedAdamW`.

    `train_step` hands over the mean of the replicas' gradients, which Keras
    clips and then sums up: hence a clip norm divided by the replicas.
    """
    optimizer = FusedAdamW(
        learning_rate,
        weight_decay=weight_decay,
        beta_2=0.999,
        epsilon=1e-6,
        global_clipnorm=_CLIP_NORM / num_replicas,
        factors=factors or [1.0] * len(variables),
        no_decay=_NO_DECAY,
        # Keras checks scaled gradients in branches of its own.
        fused=fused and mixed_precision != "float16",
    )
    if mixed_precision == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(variables)
    return optimizer
