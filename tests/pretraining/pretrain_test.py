import math
import os
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest

from bert_tf.errors import InputError, InterruptedTrainingError
from bert_tf.inference import loaded_run
from bert_tf.presets import presets
from bert_tf.pretraining import budget, trainer
from bert_tf.pretraining.pretrain import pretrain
from bert_tf.training.train import train_files as train
from tests.conftest import TOKENS


@pytest.mark.parametrize(
    "objective", ["mlm+nsp", pytest.param("mlm", marks=pytest.mark.slow)]
)
def test_run_folder_is_a_preset(
    pretrain_config, tiny_config, tmp_path, objective
):
    metrics = pretrain(pretrain_config(objective=objective))
    folder = str(tmp_path / "language")
    assert set(os.listdir(folder)) == {
        "config.json", "flags.txt", "versions.json", "vocab.txt",
        "tokenizer.json", "backbone.json", "checkpoints", "logs", "preset",
        "history.csv", "metrics.json",
    }  # fmt: skip
    assert not os.listdir(f"{folder}/checkpoints")
    assert metrics["train_steps"] == 6
    assert ("eval_nsp_loss" in metrics) == (objective == "mlm+nsp")
    fine_tuned = train(
        tiny_config(preset=folder, output_dir=str(tmp_path / "classifier"))
    )
    assert math.isfinite(fine_tuned["eval_loss"])
    with pytest.raises(InputError, match="--preset="):
        loaded_run.load(folder)


def test_loss_at_the_start(pretrain_config):
    """ln(vocabulary size) and ln 2, within 5%."""
    metrics = pretrain(pretrain_config(max_steps=0, max_seq_length=64))
    first = metrics["first"]
    assert first["eval_mlm_loss"] == pytest.approx(
        math.log(len(TOKENS)), rel=0.05
    )
    assert first["eval_nsp_loss"] == pytest.approx(math.log(2), rel=0.05)
    assert first["eval_perplexity"] == pytest.approx(
        math.exp(first["eval_mlm_loss"])
    )


@pytest.mark.slow
def test_resumed_ends_as_uninterrupted(pretrain_config, tmp_path):
    runs = {}
    for name in ("whole", "interrupted"):
        config = pretrain_config(
            output_dir=str(tmp_path / name), max_steps=40, eval_steps=10
        )
        if name == "interrupted":
            with pytest.raises(InterruptedTrainingError):
                terminate_at(f"{tmp_path}/{name}/history.csv", config)
            assert os.path.exists(f"{tmp_path}/{name}/checkpoints/latest.npz")
        pretrain(config)
        runs[name] = pd.read_csv(f"{tmp_path}/{name}/history.csv")
    assert list(runs["whole"]["step"]) == [0, 10, 20, 30, 40]
    for column in ("loss", "eval_mlm_loss", "eval_nsp_loss"):
        np.testing.assert_array_equal(
            runs["whole"][column], runs["interrupted"][column]
        )


def terminate_at(path, config):
    """Sends SIGTERM when the second evaluation is written."""

    def watch():
        while not (os.path.exists(path) and len(pd.read_csv(path)) > 1):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
    pretrain(config)


class SteppingTime:
    """A clock that goes on by 50 ms whenever it is looked at."""

    def __init__(self):
        self.now = 0.0
        self.killed_at = math.inf

    def monotonic(self) -> float:
        self.now += 0.05
        if self.now > self.killed_at:
            raise RuntimeError("killed")
        return self.now


@pytest.mark.parametrize(
    "killed_at", [None, pytest.param(9.0, marks=pytest.mark.slow)]
)
def test_time_budget_follows_the_clock(pretrain_config, monkeypatch, killed_at):
    stepping = SteppingTime()
    for module in (budget, trainer):
        monkeypatch.setattr(module, "time", stepping)
    config = pretrain_config(time_budget="12s", eval_steps=10**6)
    if killed_at is not None:
        stepping.killed_at = killed_at
        with pytest.raises(RuntimeError, match="killed"):
            pretrain(config)
        stepping.killed_at = math.inf
        # What passes until it is started again is not spent.
        stepping.now += 1000
    metrics = pretrain(config)
    assert metrics["train_runtime"] == pytest.approx(12, rel=0.05)
    assert metrics["final_learning_rate"] == 0.0
    assert metrics["last_learning_rate"] < 0.05 * 1e-3


def test_time_of_an_interrupted_run_counts(pretrain_config, tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / "clock.json").write_text('{"seconds": 5.0}')
    clock = budget.Clock(str(folder / "clock.json"), seconds=3.0)
    assert 5.0 <= clock.seconds() < 5.5


def test_going_on_from_a_preset(pretrain_config, headless_preset, tmp_path):
    shape = dict.fromkeys(
        ("vocab_file", "num_layers", "hidden_size", "num_attention_heads")
    )
    first = pretrain(
        pretrain_config(
            preset=headless_preset,
            output_dir=str(tmp_path / "first"),
            max_steps=30,
            eval_steps=10**6,
            learning_rate=3e-3,
            **shape,
        )
    )
    again = pretrain(
        pretrain_config(
            preset=str(tmp_path / "first"),
            output_dir=str(tmp_path / "again"),
            max_steps=0,
            **shape,
        )
    )
    assert first["eval_mlm_loss"] < first["first"]["eval_mlm_loss"] - 0.5
    # The head comes along.
    assert again["eval_mlm_loss"] == pytest.approx(first["eval_mlm_loss"])


@pytest.mark.slow
def test_accumulation_and_replicas_give_the_same(pretrain_config, tmp_path):
    losses = {}
    for name, settings in (
        ("plain", {}),
        ("accumulated", {"accumulate_steps": 4}),
        ("mirrored", {"distribution_strategy": "mirrored"}),
    ):
        metrics = pretrain(
            pretrain_config(output_dir=str(tmp_path / name), **settings)
        )
        losses[name] = metrics["eval_mlm_loss"], metrics["eval_nsp_loss"]
    for name in ("accumulated", "mirrored"):
        np.testing.assert_allclose(losses[name], losses["plain"], rtol=1e-4)


@pytest.mark.slow
def test_overfits(pretrain_config, tmp_path, full):
    """60 sentences; 200 at full size."""
    sentences, steps = (200, 900) if full else (60, 400)
    # Words of which two tell the third, once learnt by heart.
    words = [
        f"z{chr(97 + i // 26)}{chr(97 + i % 26)}z" for i in range(3 * sentences)
    ]
    (tmp_path / "vocabulary" / "vocab.txt").write_text(
        "".join(f"{token}\n" for token in (*TOKENS, *words))
    )
    lines = [" ".join(words[i : i + 3]) for i in range(0, len(words), 3)]
    lines = [
        line + ("\n" if number % 10 == 9 else "")
        for number, line in enumerate(lines)
    ]
    path = tmp_path / "sentences.txt"
    # Many times over: an epoch of a few steps is mostly preparation.
    path.write_text("\n".join(lines * (4000 // sentences)))
    metrics = pretrain(
        pretrain_config(
            train_file=(str(path),),
            validation_file=(str(path),),
            hidden_size=128,
            train_batch_size=32,
            learning_rate=3e-3,
            max_steps=steps,
            eval_steps=10**6,
            max_eval_samples=128,
            jit_compile="auto",
        )
    )
    assert metrics["eval_mlm_accuracy"] > 0.95


def test_faults(pretrain_config, tmp_path):
    for changes, message in (
        ({"max_steps": 5, "time_budget": "5m"}, "give one of"),
        ({"time_budget": "5 minutes"}, "is not a duration"),
        ({"preset": "x"}, "starts from a checkpoint"),
        ({"vocab_file": None}, "--vocab_file is needed"),
        ({"num_attention_heads": 5}, "divisible"),
        ({"objective": "nsp"}, "must be one of"),
    ):
        with pytest.raises(InputError, match=message):
            pretrain_config(**changes)
    with pytest.raises(InputError, match="no such file"):
        pretrain(pretrain_config(vocab_file="nowhere/vocab.txt"))
    (tmp_path / "one.txt").write_text("the film was good .")
    with pytest.raises(InputError, match="held out"):
        pretrain(pretrain_config(train_file=(str(tmp_path / "one.txt"),)))


def test_presets_know_no_unfinished_run(pretrain_config, tmp_path):
    pretrain(pretrain_config(max_steps=0))
    os.rename(tmp_path / "language" / "preset", tmp_path / "elsewhere")
    with pytest.raises(InputError, match="did not finish"):
        presets.resolve(str(tmp_path / "language"))


@pytest.mark.slow
def test_killed_between_a_step_and_its_evaluation(
    pretrain_config, tmp_path, monkeypatch
):
    """The checkpoint of the step is there, and its row of history is not."""
    config = pretrain_config(
        max_steps=30, eval_steps=10, checkpoint_seconds=0.0
    )
    evaluate = trainer.PretrainingTrainer._evaluate

    def killed(self, state, clock):
        if state.step == 20:
            self.checkpoints.save(state)
            self.checkpoints.finish()
            raise RuntimeError("killed")
        evaluate(self, state, clock)

    with monkeypatch.context() as patch:
        patch.setattr(trainer.PretrainingTrainer, "_evaluate", killed)
        with pytest.raises(RuntimeError, match="killed"):
            pretrain(config)
    pretrain(config)
    history = pd.read_csv(os.path.join(config.output_dir, "history.csv"))
    assert list(history["step"]) == [0, 10, 20, 30]
