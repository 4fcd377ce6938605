"""A search: its trials, what a kill leaves, and what is chosen."""

import dataclasses
import json
import os
import random
import time

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics

optuna = pytest.importorskip("optuna")

import bert_tf  # noqa: E402
from bert_tf import runs  # noqa: E402
from bert_tf.config.search_space import SearchConfig  # noqa: E402
from bert_tf.data.splits import read_splits  # noqa: E402
from bert_tf.errors import InputError, InterruptedTrainingError  # noqa: E402
from bert_tf.evaluation.report import search_page  # noqa: E402
from bert_tf.training import search as search_lib  # noqa: E402
from tests.conftest import review_rows, write_csv  # noqa: E402
from tests.scripts import Script, run_script  # noqa: E402

# Quick trials: the linear probe, of what does not change it.
PROBE = {"num_train_epochs": 0, "head_init": "auto", "contrastive": "false"}


@pytest.fixture
def probes(tiny_config, tmp_path):
    path = write_csv(tmp_path / "train.csv", review_rows(60))

    def build(name="search", **changes):
        return tiny_config(
            train_file=(path,),
            output_dir=str(tmp_path / name),
            **{**PROBE, "metric_for_best_model": None, **changes},
        )

    return build


def study_of(folder) -> optuna.Study:
    return search_lib._open_study(str(folder), "loss", [], seed=0)


def test_trials_and_what_is_chosen(probes, tmp_path, monkeypatch):
    config = probes()
    search = SearchConfig(num_trials=2)
    rows = read_splits(config)
    summary = search_lib.search(rows, config, search)
    folder = tmp_path / "search"
    table = pd.read_csv(folder / "trials.csv")
    assert list(table["trial"]) == ["default", "0", "1"]
    assert set(table["state"]) == {"complete"}
    # Those that were given are not varied.
    assert {"pooling", "dropout", "train_batch_size"} & set(table.columns) == {
        "pooling", "dropout",
    }  # fmt: skip
    for name in ("trial_0", "trial_1", "default"):
        metrics = runs.load(folder / name).metrics
        row = table.set_index("trial").loc[name.removeprefix("trial_")]
        assert row["loss"] == metrics["eval_loss"]
        has_weights = (folder / name / "checkpoints").exists()
        is_best = name == f"trial_{summary['best_trial']}"
        assert has_weights == (is_best or name == "default")
    assert summary["best"] == table["loss"][1:].min()
    assert json.loads((folder / "search.json").read_text()) == summary
    assert runs.load(summary["chosen"]).predict(["good"]).shape[0] == 1
    page = (folder / "search.html").read_text()
    assert search_page.verdict(summary) in page.replace("&#39;", "'")

    # More of them: the others are not trained again.
    more = search_lib.search(rows, config, SearchConfig(num_trials=3))
    assert more["num_trials"] == 3
    again = pd.read_csv(folder / "trials.csv")
    pd.testing.assert_frame_equal(
        again[:3][table.columns.tolist()], table, check_dtype=False
    )
    # Of three, better by 2.13 errors once in twenty searches.
    for errors, name in ((-1, "default"), (1.9, "default"), (2.3, "trial_")):
        monkeypatch.setattr(
            search_lib, "compare", lambda *_, errors=errors: (-errors, 1.0)
        )
        again = search_lib.search(rows, config, SearchConfig(num_trials=3))
        assert os.path.basename(again["chosen"]).startswith(name)
    other = dataclasses.replace(config, seed=7)
    with pytest.raises(InputError, match="seed"):
        search_lib.search(read_splits(other), other, search)


@pytest.mark.slow
def test_interrupted_failed_and_pruned(probes, tmp_path, monkeypatch):
    """A trial that was interrupted goes on; one that fails is a row."""
    config, calls = probes(), []
    train = search_lib.train_lib.train

    def train_or_not(splits, one, callbacks=()):
        calls.append(os.path.basename(one.output_dir))
        ends = {
            2: InterruptedTrainingError("SIGTERM"),
            4: ValueError("no luck"),
            5: optuna.TrialPruned(),
        }
        if len(calls) in ends:
            raise ends[len(calls)]
        return train(splits, one, callbacks)

    monkeypatch.setattr(search_lib.train_lib, "train", train_or_not)
    rows, search = read_splits(config), SearchConfig(num_trials=3)
    with pytest.raises(InterruptedTrainingError):
        search_lib.search(rows, config, search)
    before = study_of(config.output_dir).trials[0].params
    summary = search_lib.search(rows, config, search)
    assert calls == ["default", "trial_0", "trial_0", "trial_1", "trial_2"]
    trials = study_of(config.output_dir).trials
    assert [one.state.name for one in trials] == ["COMPLETE", "FAIL", "PRUNED"]
    assert trials[0].params == before
    table = pd.read_csv(f"{config.output_dir}/trials.csv")
    assert table["error"][2] == "ValueError: no luck"
    assert summary["best_trial"] == 0 and summary["num_trials"] == 3


def test_no_trial_begins_after_the_time(probes):
    config = probes()
    search = SearchConfig(num_trials=9, time_budget="0.001s")
    summary = search_lib.search(read_splits(config), config, search)
    assert summary["num_trials"] == 0 and summary["best"] is None
    assert summary["chosen"].endswith("default")
    assert "the defaults stay" in search_page.verdict(summary)


def test_the_time_ends_a_trial_with_its_epoch(probes):
    study = study_of(os.path.dirname(probes().train_file[0]))
    trial = study.ask()
    callback = search_lib._Pruning(trial, "loss", deadline=np.inf)
    callback.on_epoch_end(-1, {"eval_loss": 0.5})
    callback.on_epoch_end(0, {})
    late = search_lib._Pruning(trial, "loss", deadline=0.0)
    with pytest.raises(optuna.TrialPruned):
        late.on_epoch_end(1, {"eval_loss": 0.4})
    reported = study.trials[-1].intermediate_values
    assert reported == {0: 0.5, 2: 0.4}


def test_the_error_is_that_of_pairs(tmp_path):
    """Of each metric; F1 of a rare class has a larger one than accuracy."""
    generator = np.random.default_rng(0)
    is_rare = generator.random(400) < 0.1
    right = generator.random([2, 400]) < [[0.9], [0.8]]
    scores = generator.uniform(0.5, 0.9, [2, 400])
    of_rare = np.where(right == is_rare, scores, 1 - scores)
    losses = -np.log(np.where(right, scores, 1 - scores))
    for name, one, loss, chance in zip(
        "ab", right, losses, of_rare, strict=True
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "metrics.json").write_text(
            json.dumps(
                {
                    "eval_accuracy": one.mean(),
                    "eval_loss": loss.mean(),
                    "eval_f1": sklearn.metrics.f1_score(is_rare, chance > 0.5),
                    "labels": ["often", "rare"],
                    "positive_class": "rare",
                }
            )
        )
        (folder / "config.json").write_text(
            json.dumps({"train_file": ["x"], "output_dir": "y"})
        )
        pd.DataFrame(
            {
                "true_label": np.where(is_rare, "rare", "often"),
                "probability_often": 1 - chance,
                "probability_rare": chance,
            }
        ).to_csv(folder / "predictions.csv", index=False)
    paths = [str(tmp_path / name) for name in "ab"]
    for name, values in (("accuracy", right.astype(float)), ("loss", losses)):
        gain, error = search_lib.compare(*paths, name)
        differences = values[0] - values[1]
        assert gain == pytest.approx(differences.mean())
        expected = differences.std() / 20
        assert error == pytest.approx(expected, rel=0.1)
    gain, error = search_lib.compare(*paths, "f1")
    drawn = generator.integers(0, 400, [300, 400])
    differences = [
        sklearn.metrics.f1_score(is_rare[rows], of_rare[0][rows] > 0.5)
        - sklearn.metrics.f1_score(is_rare[rows], of_rare[1][rows] > 0.5)
        for rows in drawn
    ]
    assert error == pytest.approx(np.std(differences), rel=0.15)
    assert error > 1.5 * search_lib.compare(*paths, "accuracy")[1]


@pytest.mark.slow
def test_from_python_on_the_papers_grid(preset, tmp_path):
    """Slow: it trains epochs."""
    rows = pd.DataFrame(review_rows(60), columns=["text", "label"])
    run = bert_tf.search(
        rows, output_dir=tmp_path / "search", preset=preset, num_trials=2,
        space="bert_paper", max_seq_length=16,
    )  # fmt: skip
    assert run.path.startswith(str(tmp_path / "search"))
    table = pd.read_csv(tmp_path / "search" / "trials.csv")
    assert (table["train_batch_size"][1:] == 16).all()
    assert (table["learning_rate"][1:] == 5e-5).all()
    assert list(table["num_train_epochs"][1:]) == [2, 3]


@pytest.mark.slow
def test_killed_at_random_moments(preset, tmp_path, full):
    """No trial is counted twice, and none is lost."""
    path = write_csv(tmp_path / "train.csv", review_rows(60))
    arguments = (
        f"--train_file={path}", f"--output_dir={tmp_path / 'search'}",
        f"--preset={preset}", "--max_seq_length=16", "--num_trials=4",
    )  # fmt: skip
    generator = random.Random(0)
    for _ in range(10 if full else 4):
        script = Script("search", *arguments)
        time.sleep(generator.uniform(1, 8))
        script.kill()
        script.wait()
    run_script("search", *arguments)
    trials = study_of(tmp_path / "search").trials
    assert [one.number for one in trials] == list(range(4))
    assert all(one.state.is_finished() for one in trials)
    assert not any(one.state.name == "FAIL" for one in trials)
    table = pd.read_csv(tmp_path / "search" / "trials.csv")
    assert list(table["trial"]) == ["default", *map(str, range(4))]
    for one in trials:
        if one.state.name == "COMPLETE":
            metrics = runs.load(tmp_path / f"search/trial_{one.number}").metrics
            assert one.value == metrics["eval_loss"]
