"""The benchmarks run, on a tiny model and without the peers."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from benchmarks import chart, data_sets, data_sizes_table, quality
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


def test_samples_of_a_size():
    rows = pd.DataFrame(
        {"text": map(str, range(60)), "label": ["a"] * 50 + ["b"] * 10}
    )
    one, same, other = (
        data_sets.sample_of(rows, "16", sample) for sample in (0, 0, 1)
    )
    # Of the rarer class all there is.
    assert one["label"].value_counts().to_dict() == {"a": 16, "b": 10}
    assert list(one["text"]) == list(same["text"]) != list(other["text"])
    assert len(data_sets.sample_of(rows, "all", 0)) == 60


def test_what_is_not_measured():
    def is_left_out(method, size, sample=0, name="trec"):
        return data_sets.is_left_out(
            {"set": name, "size": size, "sample": sample, "method": method}
        )

    assert is_left_out("setfit", "128") and not is_left_out("setfit", "32")
    assert is_left_out("setfit", "32", name="trec_fine")
    assert is_left_out("bert_tf", "all", sample=3)
    assert is_left_out("word_counts", "all", sample=1)
    assert not is_left_out("word_counts", "8", sample=4)


def test_data_sizes_are_compared_by_cell(tmp_path):
    results = pd.DataFrame(
        [
            {
                "set": name, "size": size, "sample": sample, "method": method,
                "accuracy": accuracy + 0.01 * sample, "f1_macro": 0.5,
                # Of no sample: the deviations are pooled.
                "matthews": accuracy - 0.5, "seconds": 10.0,
            }
            for name, size, method, accuracy in (
                ("trec", "8", "bert_tf", 0.7), ("trec", "8", "setfit", 0.6),
                ("trec", "all", "bert_tf", 0.9), ("cola", "8", "bert_tf", 0.6),
                ("cola", "8", "setfit", 0.7),
            )
            for sample in range(2)
        ]
    )  # fmt: skip
    found = data_sizes_table.compare(results).loc["setfit"]
    assert found["cells"] == 2 and found["lower_in"] == 1
    assert found["difference"] == pytest.approx(0.0)
    assert found["deviation"] == pytest.approx(0.005)
    assert "0.605" in data_sizes_table.tables(results)
    data_sizes_table.draw(str(tmp_path / "sizes.png"), results)
    assert (tmp_path / "sizes.png").stat().st_size > 10_000
