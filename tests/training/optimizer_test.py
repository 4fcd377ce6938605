import numpy as np
import pytest

from bert_tf.training import optimizer as optimizer_lib
from tests.conftest import tiny_backbone


def test_warmup_then_linear_decay():
    schedule = optimizer_lib.WarmupLinearDecay(1.0, 4, 12)
    rates = [float(schedule(step)) for step in range(13)]
    np.testing.assert_allclose(rates[:4], [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(np.diff(rates[4:]), -0.125, rtol=1e-5)
    assert rates[4] == 1.0 and rates[12] == 0.0


def test_no_warmup():
    assert float(optimizer_lib.WarmupLinearDecay(0.5, 0, 10)(0)) == 0.5


@pytest.mark.parametrize(
    ("parameters", "frozen", "rate"),
    [(4e6, False, 3e-4), (110e6, False, 3e-5), (335e6, False, 2e-5),
     (110e6, True, 1e-3)],
)  # fmt: skip
def test_default_learning_rate(parameters, frozen, rate):
    assert (
        optimizer_lib.default_learning_rate(parameters, freeze_backbone=frozen)
        == rate
    )


def test_biases_and_layer_norms_do_not_decay():
    variables = tiny_backbone().trainable_variables
    optimizer = optimizer_lib.build_optimizer(
        variables=variables,
        learning_rate=0.1,
        warmup_proportion=0.0,
        total_steps=10,
        weight_decay=0.5,
        mixed_precision="float32",
    )
    before = [variable.numpy() for variable in variables]
    optimizer.apply([np.zeros(v.shape, np.float32) for v in variables])
    for variable, old in zip(variables, before, strict=True):
        if variable.name in ("bias", "gamma", "beta"):
            np.testing.assert_array_equal(variable.numpy(), old)
        else:
            np.testing.assert_allclose(
                variable.numpy(), old * 0.95, rtol=1e-4, atol=1e-7
            )
