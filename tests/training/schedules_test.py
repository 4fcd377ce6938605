import dataclasses

import keras
import numpy as np
import pytest

from bert_tf.config import base
from bert_tf.errors import InputError
from bert_tf.training import schedules
from bert_tf.training.train import train_files


def rates(name, warmup_steps, total_steps):
    schedule = schedules.WarmupSchedule(
        name, peak=1.0, total_steps=total_steps, warmup_steps=warmup_steps
    )
    return np.array([float(schedule(step)) for step in range(total_steps + 1)])


def test_warmup_then_linear_decay():
    linear = rates("linear", 4, 12)
    np.testing.assert_allclose(linear[:4], [0.25, 0.5, 0.75, 1.0], rtol=1e-6)
    np.testing.assert_allclose(np.diff(linear[4:]), -0.125, rtol=1e-5)
    assert linear[4] == pytest.approx(1.0, abs=1e-6)
    assert linear[12] == pytest.approx(0.0, abs=1e-6)


def test_a_single_step_counts():
    assert rates("linear", 1, 1)[0] == 1.0


def test_no_warmup():
    assert rates("linear", 0, 10)[0] == 1.0


def test_cosine_and_constant():
    cosine = rates("cosine", 2, 10)
    np.testing.assert_allclose(cosine[[2, 6, 10]], [1.0, 0.5, 0.0], atol=1e-6)
    np.testing.assert_allclose(rates("constant", 2, 10)[1:], 1.0)


def test_of_a_budget():
    factors = [
        float(schedules.factor("linear", progress, total=1.0, warmup=0.5))
        for progress in (0, 0.25, 0.5, 0.75, 1)
    ]
    assert factors == [0, 0.5, 1, 0.5, 0]
    assert float(schedules.factor("linear", 0.0, total=1.0, warmup=0.0)) == 1


def test_an_unknown_one_is_refused(tiny_config):
    with pytest.raises(InputError, match="must be one of linear, cosine"):
        tiny_config(learning_rate_schedule="triangle")


def test_one_is_added_where_the_docs_say(tiny_config, monkeypatch, tmp_path):
    """A training takes a schedule of a name and a function from outside."""
    monkeypatch.setattr(base, "SCHEDULES", (*base.SCHEDULES, "steps"))
    monkeypatch.setitem(
        schedules.SCHEDULES,
        "steps",
        lambda left: keras.ops.where(left < 0.4, 0.5, 1.0),
    )
    config = tiny_config(
        learning_rate_schedule="steps", num_train_epochs=2, learning_rate=1e-3,
        warmup_proportion=0.0, head_init="random",
    )  # fmt: skip
    train_files(config)
    with open(tmp_path / "run" / "history.csv") as file:
        head, *rows = (line.strip().split(",") for line in file)
    column = head.index("learning_rate")
    assert [float(row[column]) for row in rows] == pytest.approx([1e-3, 5e-4])
    # As config.json has it, the run is evaluated and resumed.
    assert dataclasses.asdict(config)["learning_rate_schedule"] == "steps"
