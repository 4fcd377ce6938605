import dataclasses
import json
import os

import keras
import numpy as np
import pandas as pd
import pytest

from bert_tf.config import TrainConfig
from bert_tf.data import record_creation
from bert_tf.data.weighting import example_weights
from bert_tf.errors import InputError
from bert_tf.text.preprocessing import Preprocessor
from bert_tf.training.train import train
from tests.conftest import review_rows, write_csv


def without_times(metrics: dict) -> dict:
    return {
        key: value
        for key, value in metrics.items()
        if "runtime" not in key and "per_second" not in key
    }


def test_run_folder(trained_run):
    assert set(os.listdir(trained_run)) == {
        "config.json", "flags.txt", "labels.txt", "versions.json",
        "vocab.txt", "tokenizer.json", "backbone.json", "checkpoints", "logs",
        "history.csv", "data_report.json", "learning_curves.png",
        "metrics.json", "predictions.csv", "errors.csv",
        "confusion_matrix.csv", "confusion_matrix.png", "metrics_test.json",
        "predictions_test.csv", "errors_test.csv", "confusion_matrix_test.csv",
        "confusion_matrix_test.png", "report.html", "README.md",
        "baseline.npz", "thresholds.csv", "thresholds_test.csv",
        *(
            f"{plot}{suffix}.png"
            for plot in (
                "reliability", "score_histogram", "roc_curve",
                "precision_recall_curve", "text_lengths",
            )
            for suffix in ("", "_test")
        ),
    }  # fmt: skip
    assert os.listdir(f"{trained_run}/checkpoints") == ["best.weights.h5"]


def test_it_learns(trained_run):
    with open(f"{trained_run}/metrics_test.json") as file:
        metrics = json.load(file)
    assert next(iter(metrics)) == "schema_version"
    assert metrics["eval_accuracy"] > 0.9
    assert metrics["best"]["metric"] == "f1"
    assert metrics["labels"] == ["neg", "pos"]


def test_history_and_best_epoch(trained_run):
    history = pd.read_csv(f"{trained_run}/history.csv")
    assert list(history["epoch"]) == list(range(1, 7))
    with open(f"{trained_run}/metrics.json") as file:
        metrics = json.load(file)
    best = history.loc[metrics["best"]["epoch"] - 1]
    assert metrics["best"]["value"] == pytest.approx(history["eval_f1"].max())
    # What is reported is the best epoch, not the last one.
    assert metrics["eval_loss"] == pytest.approx(best["eval_loss"], rel=1e-5)


@pytest.fixture(scope="module")
def plain(tmp_path_factory, preset):
    """A training that others are compared with: its settings and metrics."""
    folder = tmp_path_factory.mktemp("plain")
    config = TrainConfig(
        train_file=(write_csv(folder / "train.csv", review_rows(90)),),
        validation_file=(write_csv(folder / "valid.csv", review_rows(30)),),
        output_dir=str(folder / "run"),
        preset=preset,
        max_seq_length=16,
        train_batch_size=8,
        num_train_epochs=2,
        jit_compile="false",
    )
    return config, train(config)


def train_again(plain, run, **changes):
    """Returns metrics, and history.csv of the plain run and of this one."""
    config, _ = plain
    metrics = train(dataclasses.replace(config, output_dir=str(run), **changes))
    return metrics, [
        pd.read_csv(f"{folder}/history.csv")
        for folder in (config.output_dir, run)
    ]


def test_same_seed_same_metrics(plain, tmp_path):
    again, _ = train_again(plain, tmp_path / "run")
    assert without_times(plain[1]) == without_times(again)


def test_flags_file_repeats_the_run(trained_run):
    with open(f"{trained_run}/flags.txt") as file:
        flags = dict(line[2:].strip().split("=", 1) for line in file)
    assert flags["learning_rate"] == "0.005"
    assert flags["text_column"] == "text"
    assert flags["metric_for_best_model"] == "f1"


def test_early_stopping(tiny_config):
    metrics = train(
        tiny_config(
            num_train_epochs=9,
            learning_rate=1e-9,
            early_stopping_patience=1,
            metric_for_best_model="accuracy",
        )
    )
    assert metrics["train_epochs"] == 2
    assert metrics["best"]["epoch"] == 1


def test_callbacks_may_stop(tiny_config):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            assert "eval_accuracy" in logs
            self.model.stop_training = True

    metrics = train(tiny_config(num_train_epochs=5), callbacks=[Stop()])
    assert metrics["train_epochs"] == 1


def test_nan_loss_stops_with_step_and_rate(tiny_config):
    with pytest.raises(InputError, match=r"epoch 1, step \d+ of .* rate"):
        train(tiny_config(learning_rate=1e30, num_train_epochs=3))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision(tiny_config, precision):
    metrics = train(tiny_config(mixed_precision=precision, num_train_epochs=1))
    assert np.isfinite(metrics["eval_loss"])


def test_mirrored_with_frozen_backbone_and_class_weights(tiny_config):
    metrics = train(
        tiny_config(
            distribution_strategy="mirrored",
            freeze_backbone=True,
            class_weight="balanced",
            num_train_epochs=1,
        )
    )
    assert metrics["replicas"] == 2


def test_pairs(tiny_config, tmp_path):
    rows = [(f"the {text}", text, label) for text, label in review_rows(40)]
    path = write_csv(tmp_path / "p.csv", rows, "text_a,text_b,label")
    metrics = train(tiny_config(train_file=(path,), num_train_epochs=1))
    predictions = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert list(predictions)[:4] == ["id", "text", "text_pair", "label"]
    assert metrics["eval_samples"] == len(predictions)


def test_balanced_weights():
    labels = np.array([0, 0, 0, 1], np.int32)
    np.testing.assert_allclose(
        example_weights(labels, "balanced"), [2 / 3] * 3 + [2]
    )
    assert example_weights(labels, "none").tolist() == [1] * 4


def test_overwriting(tiny_config, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match="is not empty"):
        train(tiny_config())
    with pytest.raises(InputError, match="holds no run"):
        train(tiny_config(overwrite_output_dir=True))
    assert (folder / "mine.txt").read_text() == "precious"


def test_from_tfrecords(plain, tmp_path, vocabulary):
    """The same loss, epoch by epoch, as from the texts.

    The batches are equal, but not where in memory they lie, which moves the
    last bit of a sum.
    """
    preprocessor = Preprocessor(vocabulary, sequence_length=16)
    record_creation.create_records(
        plain[0].train_file, str(tmp_path / "records"),
        preprocessor=preprocessor, preset="tiny", shards=4,
    )  # fmt: skip
    _, history = train_again(
        plain, tmp_path / "run", train_file=(str(tmp_path / "records"),)
    )
    for column in ("loss", "eval_loss"):
        np.testing.assert_allclose(
            history[0][column], history[1][column], rtol=1e-6
        )
    with open(tmp_path / "run" / "data_report.json") as file:
        assert json.load(file)["parts"]["train"]["rows"] == 90


def test_tfrecords_need_validation_texts(tiny_config, tmp_path):
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match="have no texts to report"):
        train(tiny_config(train_file=(str(tmp_path / "records"),)))


def test_several_steps_in_one_call(plain, tmp_path):
    """Twelve steps an epoch: calls of 5, 5 and 2."""
    _, (one, five) = train_again(plain, tmp_path / "run", steps_per_execution=5)
    assert one["eval_loss"].equals(five["eval_loss"])
    np.testing.assert_allclose(one["loss"], five["loss"], rtol=1e-6)
