"""--calibrate: the same answers, other scores, the same everywhere."""

import json
import os

import numpy as np
import pandas as pd
import pytest

from bert_tf.inference.saved_model_predictor import SavedModelPredictor
from bert_tf.metrics import calibration
from bert_tf.metrics import classification as metrics_lib
from bert_tf.serving.export import export
from bert_tf.training.train import train_files as train
from tests.conftest import review_rows, write_csv
from tests.runs import evaluate_files

PROBABILITIES = ["probability_neg", "probability_pos"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory, preset):
    """Two runs that are too sure: a quarter of the validation is wrong."""
    from bert_tf.config.training import TrainConfig

    folder = tmp_path_factory.mktemp("calibrated")
    generator = np.random.default_rng(2)
    path = write_csv(folder / "train.csv", review_rows(800))
    turned = {"neg": "pos", "pos": "neg"}
    validation = write_csv(
        folder / "validation.csv",
        [
            (text, label if generator.random() < 0.75 else turned[label])
            for text, label in review_rows(80)
        ],
    )
    test = write_csv(folder / "test.csv", review_rows(30))
    for name, calibrate in (("plain", False), ("calibrated", True)):
        train(
            TrainConfig(
                train_file=(path,), validation_file=(validation,),
                test_file=(test,),
                output_dir=str(folder / name), preset=preset,
                max_seq_length=16, train_batch_size=8, learning_rate=5e-3,
                num_train_epochs=1, dropout=0.0,
                metric_for_best_model="accuracy", calibrate=calibrate,
                head_init="random",
            )
        )  # fmt: skip
    return folder


def read(runs, name, file="predictions.csv"):
    return pd.read_csv(runs / name / file)


def test_scores_are_those_of_the_fitted_temperature(runs):
    plain, scaled = read(runs, "plain"), read(runs, "calibrated")
    assert list(plain["label"]) == list(scaled["label"])
    labels = (plain["true_label"] == "pos").to_numpy().astype(int)
    before = plain[PROBABILITIES].to_numpy()
    temperature = calibration.fit_temperature(labels, before)
    assert temperature > 1.5
    np.testing.assert_allclose(
        scaled[PROBABILITIES],
        calibration.with_temperature(before, temperature),
        atol=1e-4,
    )
    with open(runs / "calibrated" / "metrics.json") as file:
        metrics = json.load(file)
    assert metrics["calibration"]["temperature"] == pytest.approx(
        temperature, rel=1e-3
    )
    assert metrics["eval_loss"] < metrics["calibration"]["loss_before"]
    assert not os.path.exists(runs / "plain" / "calibration.json")
    assert metrics["eval_loss"] == pytest.approx(
        metrics_lib.classification_metrics(
            labels,
            scaled[PROBABILITIES].to_numpy(),
            ["neg", "pos"],
        )["eval_loss"],
        rel=1e-4,
    )


def test_predict_equals_evaluate_row_for_row(runs, tmp_path):
    """Training, the run loaded again, and the exported SavedModel."""
    model = export(str(runs / "calibrated"), name="m", models_dir=str(tmp_path))
    expected = read(runs, "calibrated", "predictions_test.csv")
    texts = (list(expected["text"]),)
    for found in (
        SavedModelPredictor(model).probabilities(texts),
        evaluate_files(
            str(runs / "calibrated"), [str(runs / "test.csv")]
        ).predictions,
        evaluate_files(model, [str(runs / "test.csv")]).predictions,
    ):
        np.testing.assert_allclose(found, expected[PROBABILITIES], atol=1e-5)
    predictor = SavedModelPredictor(model)
    tokens = predictor.call(
        "tokenize", {"text": np.array(texts[0][:3], object)}
    )
    logits = predictor.call("tokens", tokens)
    chances = np.exp(logits["logits"])
    np.testing.assert_allclose(
        chances / chances.sum(axis=1, keepdims=True),
        expected[PROBABILITIES][:3],
        atol=1e-5,
    )


def test_too_few_mistakes_leave_the_scores(tiny_config, tmp_path, caplog):
    """Of a split without mistakes the best temperature is 0."""
    metrics = train(
        tiny_config(calibrate=True, num_train_epochs=8, learning_rate=5e-3)
    )
    assert metrics["eval_accuracy"] > 0.9
    assert metrics["calibration"]["temperature"] == 1.0
    assert metrics["calibration"]["mistakes"] < 10
    assert "the scores stay as they are" in caplog.text
