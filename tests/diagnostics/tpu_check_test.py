"""The TPU compiler takes the training step; its counts are those on paper."""

import os
import subprocess
import sys

import numpy as np
import pytest

from bert_tf.config.training import TrainConfig
from bert_tf.data import input_pipeline
from bert_tf.diagnostics import tpu_check
from bert_tf.errors import InputError
from tests.conftest import ROOT, tiny_backbone


def test_flops_on_paper_of_bert_base():
    """6 x 85 M weights x 4,096 tokens and the attention, less [CLS]'s share.

    In the last layer only [CLS] of each of the 32 texts has a query, an
    attention, an output and an intermediate product.
    """

    class Base:
        num_layers, hidden_dim, intermediate_dim = 12, 768, 3072

    flops = tpu_check.flops_on_paper(Base, 32 * 128, 128)
    weights = 6 * 84_934_656 * 4096
    attention = 12 * 12 * 128 * 768 * 4096
    spared = (6 * (2 + 8) * 768**2 + 12 * 128 * 768) * (4096 - 32)
    assert flops == weights + attention - spared


def test_topologies():
    assert tpu_check.count_chips("v5e:2x2") == 4
    assert tpu_check.count_chips("v4:2x2x1") == 4
    for wrong in ("v5e", "v5e:ab", "v5e:"):
        with pytest.raises(InputError, match="kind and arrangement"):
            tpu_check.count_chips(wrong)
    with pytest.raises(InputError, match="known chips are v2"):
        tpu_check.chip_of("h100:1x1")


def test_wrong_flags():
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.tpu_check"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "give one of --size and --preset" in done.stderr


# One process for both: each would import TensorFlow first.
FAULTS = """
import sys
from absl import flags
from absl.testing import flagsaver
from bert_tf.errors import InputError
from pipelines import tpu_check
flags.FLAGS(sys.argv)
for changes in (
    {"train_batch_size": 6},
    {"topology": "v5e:1x32", "max_seq_length": 16},
):
    with flagsaver.flagsaver(**changes):
        try:
            tpu_check.main([])
        except InputError as error:
            print("error:", error)
"""


@pytest.fixture
def libtpu():
    pytest.importorskip("libtpu", reason="the extra tpu-check is absent")
    pytest.importorskip("jax", reason="the extra tpu-check is absent")


def run_alone(*arguments: str) -> str:
    """In a process of its own: the compiler changes the environment."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "ALLOW_MULTIPLE_LIBTPU_LOAD": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_what_the_chips_cannot_do(libtpu, preset):
    found = run_alone("-c", FAULTS, f"--preset={preset}").splitlines()
    batch, topology = [line for line in found if line.startswith("error:")]
    assert "must be divisible by the 4 chips" in batch
    assert "is not known to this libtpu" in topology


@pytest.mark.slow
def test_a_two_layer_model(libtpu, preset):
    found = run_alone(
        "-m", "pipelines.tpu_check", f"--preset={preset}",
        "--max_seq_length=16", "--examples=100", "--train_batch_size=32",
        "--accumulate_steps=2",
    )  # fmt: skip
    assert "compiles                yes" in found


def test_it_compiles_what_the_input_pipeline_gives(monkeypatch):
    """The same shapes and dtypes, all of them known."""

    class FoundError(Exception):
        pass

    def build_train_step(*, element_spec, **kwargs):
        raise FoundError(element_spec)

    monkeypatch.setattr(
        tpu_check.train_step, "build_train_step", build_train_step
    )
    config = TrainConfig(
        train_file=("a.csv",), output_dir="r", max_seq_length=16
    )
    with pytest.raises(FoundError) as caught:
        tpu_check.lower_train_step(
            tiny_backbone(), config, batch_size=4, num_classes=2
        )
    lengths = np.array([2, 3, 2, 2], np.int32)
    encoded = input_pipeline.EncodedTexts(
        np.ones(9, np.int32), np.array([0, 2, 5, 7, 9]), lengths, lengths
    )
    expected = input_pipeline.build_dataset(
        encoded, [np.arange(4)], batch_size=4, pad_token_id=0, fixed_length=16,
        labels=np.zeros(4, np.int32),
    ).element_spec  # fmt: skip
    assert caught.value.args[0] == expected
    assert all(spec.shape.is_fully_defined() for spec in expected.values())
