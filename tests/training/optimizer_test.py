import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_tf.training import optimizer as optimizer_lib
from bert_tf.training.schedules import WarmupSchedule
from tests.conftest import tiny_backbone


@pytest.mark.parametrize(
    ("parameters", "frozen", "rate"),
    [(4e6, False, 3e-4), (22e6, False, 1e-4), (110e6, False, 3e-5),
     (335e6, False, 2e-5), (110e6, True, 1e-3)],
)  # fmt: skip
def test_default_learning_rate(parameters, frozen, rate):
    assert (
        optimizer_lib.default_learning_rate(parameters, freeze_backbone=frozen)
        == rate
    )


FACTORS = (1.0, 0.9, 1.0, 0.5)


def moved_by(optimizer, variables, steps: int) -> list[np.ndarray]:
    """Weights after steps with given gradients, some of them clipped."""
    generator = np.random.default_rng(1)
    step = tf.function(optimizer.apply, autograph=False)
    for number in range(steps):
        scale = 3.0 if number % 3 else 0.01
        step(
            [
                tf.constant(generator.normal(0, scale, v.shape), tf.float32)
                for v in variables
            ]
        )
    return [variable.numpy() for variable in variables]


def build_variables() -> list[keras.Variable]:
    generator = np.random.default_rng(2)
    return [
        keras.Variable(
            generator.normal(0, 0.1, shape), dtype="float32", name=name
        )
        for name, shape in (
            ("kernel", (7, 5)), ("bias", (5,)), ("gamma", (5,)),
            ("embeddings", (40, 7)),
        )
    ]  # fmt: skip


class KerasAdamW(keras.optimizers.AdamW):
    """Keras' own, with factors on the rates."""

    def update_step(self, gradient, variable, learning_rate):
        factor = FACTORS[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * factor)


@pytest.mark.parametrize("fused", [True, False])
def test_equals_keras_over_200_steps(fused):
    ours, theirs = build_variables(), build_variables()
    first = [variable.numpy() for variable in theirs]
    schedule = WarmupSchedule(
        "linear", peak=1e-2, total_steps=200, warmup_steps=20
    )
    optimizer = optimizer_lib.build_optimizer(
        variables=ours,
        learning_rate=schedule,
        weight_decay=0.05,
        mixed_precision="float32",
        factors=FACTORS,
        fused=fused,
    )
    reference = KerasAdamW(
        schedule,
        weight_decay=0.05,
        beta_2=0.999,
        epsilon=1e-6,
        global_clipnorm=1.0,
    )
    reference.exclude_from_weight_decay(var_list=theirs[1:3])
    reference.build(theirs)
    moved, expected = (
        moved_by(optimizer, ours, 200),
        moved_by(reference, theirs, 200),
    )
    for before, one, other in zip(first, moved, expected, strict=True):
        assert np.abs(other - before).max() > 0.05
        # A few float32 roundings of weights of up to 1.
        np.testing.assert_allclose(one, other, atol=2e-6)
    for one, other in zip(
        optimizer.variables[2:], reference.variables[2:], strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("fused", [True, False])
def test_biases_and_layer_norms_do_not_decay(fused):
    variables = tiny_backbone().trainable_variables
    optimizer = optimizer_lib.build_optimizer(
        variables=variables,
        learning_rate=0.1,
        weight_decay=0.5,
        mixed_precision="float32",
        fused=fused,
    )
    before = [variable.numpy() for variable in variables]
    optimizer.apply([tf.zeros(v.shape) for v in variables])
    for variable, old in zip(variables, before, strict=True):
        if variable.name in ("bias", "gamma", "beta"):
            np.testing.assert_array_equal(variable.numpy(), old)
        else:
            np.testing.assert_allclose(
                variable.numpy(), old * 0.95, rtol=1e-4, atol=1e-7
            )
