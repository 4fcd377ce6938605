"""The benchmarks run, on a tiny model and without the peers."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from benchmarks import chart, quality
from bert_tf.data import examples, label_types
from tests.conftest import ROOT, review_rows, write_csv


def run_benchmark(name: str, tmp_path, preset: str, *arguments: str) -> dict:
    """Returns what a benchmark wrote as JSON."""
    rows = review_rows(120)
    done = subprocess.run(
        [
            sys.executable, "-m", f"benchmarks.{name}",
            "--train_file", write_csv(tmp_path / "train.csv", rows[:100]),
            "--test_file", write_csv(tmp_path / "test.csv", rows[100:]),
            "--output_dir", str(tmp_path / name),
            "--preset", preset, "--batch_size=8", *arguments,
        ],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads((tmp_path / name / f"{name}.json").read_text())


@pytest.mark.slow
def test_speed(tmp_path, preset):
    results = run_benchmark(
        "speed", tmp_path, preset, "--rounds=2", "--steps=2"
    )
    assert set(results["training"]) == {
        "bert_tf", "keras_nlp_128", "keras_nlp_512",
    }  # fmt: skip
    for part in ("training", "prediction", "single"):
        for row in results[part].values():
            assert row["texts_per_second"] > 0
            assert row["start_seconds"] > 0
            assert row["peak_mb"] > 100
    assert results["single"]["bert_tf"]["p50_ms"] > 0
    assert 0 < results["share_of_limit"] < 1
    assert (tmp_path / "speed" / "speed.png").stat().st_size > 10_000
    assert "Training" in chart.table(results)


@pytest.mark.slow
def test_quality(tmp_path, preset):
    results = run_benchmark("quality", tmp_path, preset, "--seeds=1")
    row = results["bert_tf"]
    assert np.shape(row["f1"]) == (1, 3)
    assert row["last_f1_mean"] == np.mean([seed[-1] for seed in row["f1"]])


def test_time_to_an_f1():
    """The sum of the epochs up to the first that reaches it."""
    f1 = np.array([0.5, 0.7, 0.6])
    seconds = np.array([1.0, 2.0, 4.0])
    assert quality.seconds_to(0.5, f1=f1, seconds=seconds) == 1
    assert quality.seconds_to(0.6, f1=f1, seconds=seconds) == 3
    assert quality.seconds_to(0.8, f1=f1, seconds=seconds) is None


def test_generated_tasks(tmp_path):
    rows = [
        (" ".join(f"{name} {n} people came to the place ." for n in "6789"), k)
        for k, name in (("a", "Some"), ("b", "More"))
    ]
    for part in ("train", "test"):
        write_csv(tmp_path / f"{part}.csv", rows)
    subprocess.run(
        [
            sys.executable, "-m", "benchmarks.generate_tasks", "--rows=40",
            f"--data_dir={tmp_path}", f"--output_dir={tmp_path}/tasks",
        ],
        cwd=ROOT, check=True,
    )  # fmt: skip
    path = f"{tmp_path}/tasks/questions_train.json"
    questions, _ = examples.read_examples(
        [path], label_type=label_types.of_task("span")
    )
    # Raises where an answer is not at its place.
    label_types.of_task("span").check(questions, ())
    assert 0 < (questions["label"] == "[]").sum() < 20
    found = pd.read_csv(f"{tmp_path}/tasks/similarity_train.csv")
    for first, second, share in found.itertuples(index=False):
        words = list(zip(first.split(), second.split(), strict=True))
        # A word may be replaced by itself.
        assert sum(a == b for a, b in words) / len(words) >= share - 1e-3
