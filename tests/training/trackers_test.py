"""What MLflow has of a training, in a folder as its store."""

import json
import os

import pandas as pd
import pytest

from bert_tf.errors import InstallationError, InterruptedTrainingError
from bert_tf.training.train import train_files as train
from tests.training.checkpoints_test import Terminate

mlflow = pytest.importorskip("mlflow")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An empty one, that of this test alone."""
    # MLflow asks for it where its files are folders.
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"file://{tmp_path}/mlruns")
    yield mlflow.MlflowClient()
    mlflow.set_tracking_uri(before)


@pytest.mark.slow
def test_all_of_a_run_that_was_resumed(store, tiny_config, tmp_path):
    """One run of MLflow; slow, for it exports and opens the model."""
    run = str(tmp_path / "run")
    config = tiny_config(
        output_dir=run, num_train_epochs=2, report_to=("mlflow",)
    )
    with pytest.raises(InterruptedTrainingError):
        train(config, callbacks=[Terminate(1, 0)])
    (logged,) = store.search_runs(["0"])
    assert logged.info.status == "KILLED"
    metrics = train(config)
    assert os.listdir(f"{run}/logs") == []
    (logged,) = store.search_runs(["0"])
    assert logged.info.status == "FINISHED"
    assert logged.info.run_name == "run"
    assert logged.data.params["max_seq_length"] == str(config.max_seq_length)
    assert logged.data.params["learning_rate"] != "None"
    for name, value in metrics.items():
        if isinstance(value, float):
            assert logged.data.metrics[name] == pytest.approx(value)
    curve = store.get_metric_history(logged.info.run_id, "epoch/eval_loss")
    history = pd.read_csv(f"{run}/history.csv")
    by_step = {one.step: one.value for one in curve}
    for epoch, value in zip(
        history["epoch"], history["eval_loss"], strict=True
    ):
        assert by_step[epoch] == pytest.approx(value)
    shown = {one.path for one in store.list_artifacts(logged.info.run_id)}
    assert {"report.html", "metrics.json", "learning_curves.png"} <= shown
    (model,) = mlflow.search_logged_models(output_format="list")
    opened = mlflow.pyfunc.load_model(model.model_uri)
    texts = pd.read_csv(f"{run}/predictions.csv", keep_default_na=False)
    answers = opened.predict(texts[["text"]])
    assert list(answers["label"]) == list(texts["label"])


def test_an_active_run_is_used_and_stays(store, tiny_config, monkeypatch):
    from bert_tf.training import trackers

    monkeypatch.setattr(trackers, "_log_results", lambda folder: None)
    config = tiny_config(num_train_epochs=1, report_to=("mlflow",))
    with mlflow.start_run(run_name="mine") as mine:
        train(config)
        assert mlflow.active_run().info.run_id == mine.info.run_id
        mlflow.log_metric("own", 1.0)
    (logged,) = store.search_runs(["0"])
    assert logged.info.run_name == "mine"
    assert {"own", "epoch/eval_loss"} <= logged.data.metrics.keys()


def test_names_that_mlflow_does_not_take():
    from bert_tf.training import trackers

    values = json.loads('{"a": 1, "b": {"ü?": {"f1": 0.5}}, "c": "x"}')
    assert trackers._flatten(values, "test/") == {
        "test/a": 1.0, "test/b/ü_/f1": 0.5,
    }  # fmt: skip


def test_without_the_package(tiny_config, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InstallationError, match="pip install mlflow-skinny"):
        train(tiny_config(report_to=("mlflow",)))
