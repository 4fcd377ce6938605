"""Each warning, provoked."""

import json

import numpy as np
import pandas as pd
import pytest

from bert_tf.training import training_warnings
from bert_tf.training.train import train_files as train
from tests.conftest import LETTERS, review_rows, write_csv


def warning_kinds(metrics: dict) -> set[str]:
    return {alarm["kind"] for alarm in metrics["alarms"]}


def test_loss_not_moving_and_one_class(tiny_config, caplog):
    metrics = train(tiny_config(learning_rate=1e-9, head_init="random"))
    assert warning_kinds(metrics) == {"loss_not_moving", "one_class"}
    assert "Warning, epoch 2: the training loss is" in caplog.text
    assert "answers one class" in caplog.text


def test_a_sound_training_has_none(trained_run):
    with open(f"{trained_run}/metrics.json") as file:
        assert json.load(file)["alarms"] == []


def test_overfitting_and_validation_worsens(tiny_config, tmp_path, caplog):
    """What is learned does not hold for labels that are drawn by lot."""
    generator = np.random.default_rng(3)
    lots = [(text, generator.choice(["neg", "pos"])) for text, _ in
            review_rows(60)]  # fmt: skip
    path = write_csv(tmp_path / "lots.csv", lots)
    metrics = train(
        tiny_config(
            validation_file=(path,), learning_rate=5e-3, num_train_epochs=12,
            dropout=0.0, metric_for_best_model="accuracy",
        )
    )  # fmt: skip
    assert {"overfitting", "validation_worsens"} <= warning_kinds(metrics)
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    best = int(history["epoch"][history["eval_loss"].argmin()])
    assert f"stop at epoch {best}" in caplog.text
    report = (tmp_path / "run" / "report.html").read_text()
    assert "Warning:" in report


def test_sorted_labels_and_truncation(tiny_config, tmp_path, caplog):
    rows = sorted(
        [(text + " a b c d e f g h", label) for text, label in review_rows(80)],
        key=lambda row: row[1],
    )
    path = write_csv(tmp_path / "sorted.csv", rows)
    config = tiny_config(
        train_file=(path,), num_train_epochs=1, max_seq_length=8
    )
    metrics = train(config)
    assert {"labels_sorted", "truncation"} <= warning_kinds(metrics)
    assert "sorted by label" in caplog.text
    assert "--max_seq_length=8" in caplog.text
    with open(tmp_path / "run" / "data_report.json") as file:
        report = json.load(file)
    for share, expected in ((0.5, ["truncation"]), (1.0, [])):
        found = training_warnings.before_training(
            report,
            labels=None,
            lengths=np.full(60, 8),
            batch_size=8,
            seed=1,
            max_truncated_share=share,
        )
        assert [alarm.kind for alarm in found] == expected


def test_batches_of_one_class(tiny_config, tmp_path):
    """Batches group by length, which here is the class."""
    rows = [
        ("good film", "short") if i % 2 else ("bad " * 9 + "film", "long")
        for i in range(160)
    ]
    rows = [(f"{text} {LETTERS[i % 26]}", y) for i, (text, y) in
            enumerate(rows)]  # fmt: skip
    path = write_csv(tmp_path / "lengths.csv", rows)
    metrics = train(tiny_config(train_file=(path,), num_train_epochs=1))
    assert "one_class_batches" in warning_kinds(metrics)


@pytest.mark.parametrize("shuffled", [False, True])
def test_unshuffled_rows(shuffled):
    labels = np.repeat([0, 1, 2], 32)
    rows = np.arange(96)
    if shuffled:
        np.random.default_rng(1).shuffle(rows)
    found = training_warnings.of_batches(labels, np.split(rows, 12))
    assert [alarm.kind for alarm in found] == (
        [] if shuffled else ["one_class_batches"]
    )


def test_a_rare_class_is_no_warning():
    """Where nearly all rows are of one class, so are most batches."""
    labels = np.zeros(96, int)
    labels[:3] = 1
    assert not training_warnings.of_batches(labels, np.split(np.arange(96), 12))


def test_a_rising_learning_rate_is_no_fault():
    """60 epochs, 6 of them warm-up: nothing is told before the seventh."""
    telling = training_warnings.first_telling_epoch
    assert telling(steps=10, num_epochs=60, warmup_proportion=0.1) == 6
    assert telling(steps=2, num_epochs=60, warmup_proportion=0.0) == 15
    assert telling(steps=2, num_epochs=3, warmup_proportion=0.1) == 3
    labels = np.arange(40) % 2
    history = pd.DataFrame(
        {
            "epoch": [5, 6], "loss": 0.7, "eval_loss": 0.7, "accuracy": 0.5,
            "eval_accuracy": 0.5, "eval_predicted_classes": 1,
            "eval_samples": 40,
        }
    )  # fmt: skip
    for rows, kinds in ((1, set()), (2, {"one_class", "loss_not_moving"})):
        found = training_warnings.of_history(
            history[:rows], labels, class_weight="none", metric="accuracy",
            probed_epochs=0, from_epoch=6,
        )  # fmt: skip
        assert {warning.kind for warning in found} == kinds
    few = training_warnings.of_history(
        history.assign(eval_samples=9), labels, class_weight="none",
        metric="accuracy", probed_epochs=0, from_epoch=6,
    )  # fmt: skip
    assert [warning.kind for warning in few] == ["loss_not_moving"]


@pytest.mark.parametrize(
    ("accuracies", "kinds"),
    [((0.8, 0.81, 0.8, 0.8), {"validation_worsens"}),
     ((0.8, 0.81, 0.9, 0.9), set())],
)  # fmt: skip
def test_a_loss_that_rises_while_more_is_right_is_no_fault(accuracies, kinds):
    history = pd.DataFrame(
        {
            "epoch": range(4), "loss": 0.3, "eval_loss": [0.4, 0.5, 0.6, 0.7],
            "accuracy": 0.9, "eval_accuracy": accuracies,
            "eval_predicted_classes": 2, "eval_samples": 400,
        }
    )  # fmt: skip
    found = training_warnings.of_history(
        history, np.arange(40) % 2, class_weight="none", metric="accuracy",
        probed_epochs=0, from_epoch=1,
    )  # fmt: skip
    assert {warning.kind for warning in found} == kinds


def test_unknown_tokens_are_told(tiny_config, tmp_path, caplog):
    rows = [(f"хорошо {text}", label) for text, label in review_rows(60)]
    path = write_csv(tmp_path / "cyrillic.csv", rows)
    metrics = train(tiny_config(train_file=(path,), num_train_epochs=1))
    assert "unknown_tokens" in warning_kinds(metrics)
    assert "unknown to the vocabulary" in caplog.text
