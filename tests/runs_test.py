"""From Python: frames in and out, as the scripts do with files."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import bert_tf
from bert_tf.errors import InputError
from tests.conftest import ROOT, review_rows, write_csv
from tests.training.checkpoints_test import weights


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(review_rows(120), columns=["text", "label"])


@pytest.fixture
def settings(tiny_config) -> dict:
    """Those of `tiny_config`, without files."""
    config = tiny_config()
    names = ("preset", "max_seq_length", "train_batch_size", "num_train_epochs",
             "validation_split", "contrastive")  # fmt: skip
    return {name: getattr(config, name) for name in names}


def test_a_frame_trains_what_its_file_does(
    frame, settings, tiny_config, tmp_path
):
    """Whatever its index is; weights equal bit for bit."""
    from bert_tf.training.train import train_files

    frame.index = [0] * len(frame)
    run = bert_tf.train(frame, output_dir=tmp_path / "frame", **settings)
    train_files(tiny_config(output_dir=str(tmp_path / "file")))
    of_frame, of_file = weights(run.path), weights(str(tmp_path / "file"))
    assert of_frame.keys() == of_file.keys()
    for name, values in of_frame.items():
        np.testing.assert_array_equal(values, of_file[name])
    assert run.metrics["eval_samples"] == 30
    assert run.test_metrics is None
    assert run.config.text_column == "text"
    assert run.config.train_file == ("<train>",)
    assert "<iframe" in run.report._repr_html_()
    assert "2 classes" in repr(run)


def test_answers_are_those_of_the_files(trained_run, saved_model):
    """Of a run and of its SavedModel; of texts, a frame and a file."""
    path = f"{trained_run}/predictions_test.csv"
    table = pd.read_csv(path, keep_default_na=False)
    frame = pd.DataFrame({"text": list(table["text"])}, index=table["id"])
    with open(f"{trained_run}/metrics_test.json") as file:
        metrics = json.load(file)
    labelled = frame.assign(label=table["true_label"].to_numpy())
    for path, kind in (
        (trained_run, bert_tf.Run),
        (saved_model, bert_tf.Model),
    ):
        model = bert_tf.load(path)
        assert type(model) is kind
        answers = model.predict(frame)
        assert list(answers.index) == list(table["id"])
        assert list(answers["label"]) == list(table["label"])
        for column in ("score", "probability_pos", "probability_neg"):
            np.testing.assert_allclose(
                answers[column], table[column], atol=1e-5
            )
        some = model.predict(list(table["text"][:3]))
        pd.testing.assert_frame_equal(
            some, answers[:3].reset_index(drop=True), rtol=1e-5, atol=1e-6
        )
        found = model.evaluate(labelled)
        assert found["eval_accuracy"] == metrics["eval_accuracy"]
        texts_and_labels = (list(table["text"]), list(table["true_label"]))
        found = model.evaluate(texts_and_labels)
        assert found["confusion_matrix"] == metrics["confusion_matrix"]


def test_from_the_run_to_the_savedmodel(trained_run, tmp_path):
    path = bert_tf.load(trained_run).export("mine", models_dir=str(tmp_path))
    assert path == str(tmp_path / "mine" / "1")
    model = bert_tf.load(tmp_path / "mine")
    assert model.class_names == ("neg", "pos")
    assert model.task == "classification"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.rename(columns={"label": "x1"}), "no column .* label"),
        (lambda f: f.assign(text=[None, *f["text"][1:]]),
         r"1 of 120 rows of <train> have an empty text .* \(rows 0\)"),
        (lambda f: f.assign(label=[*f["label"][:-1], np.nan]),
         r"have no label .* \(rows 119\)"),
        (lambda f: f[:0], "<train> is a DataFrame without rows"),
        (lambda f: f.assign(label="a"), 'all 120 training rows have the label'),
        (lambda f: pd.concat([f, f], axis=1), "two columns named"),
        (lambda f: (["a", "b"], ["1"]), "2 texts and 1 labels"),
        (lambda f: [], "<train> is empty"),
        (lambda f: "none.csv", "none.csv: no such file"),
    ],
)  # fmt: skip
def test_bad_frames_are_told_by_the_row(frame, change, message, tmp_path):
    with pytest.raises(InputError, match=message):
        bert_tf.train(change(frame), output_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_settings_are_the_flags(frame, tmp_path):
    for settings, message in (
        ({"num_epochs": 1}, "no setting num_epochs. Did you mean num_train_ep"),
        ({"learning_rate": -1.0}, "--learning_rate=-1.0 must be above 0"),
        ({"text_column": "txt"}, 'no column "txt"; it has: text, label'),
    ):
        with pytest.raises(InputError, match=message):
            bert_tf.train(frame, output_dir=tmp_path / "run", **settings)


def test_truth_values_are_classes_as_in_csv(settings, tmp_path):
    texts, labels = zip(*review_rows(40), strict=True)
    run = bert_tf.train(
        (texts, [label == "pos" for label in labels]),
        output_dir=tmp_path / "run",
        **{**settings, "num_train_epochs": 0},
    )
    assert run.class_names == ("False", "True")


def test_the_package_is_quiet_and_nothing_is_loaded_for_a_bad_frame():
    code = (
        "import bert_tf, pandas, sys\n"
        "try: bert_tf.train(pandas.DataFrame({'a': ['b']}), output_dir='r')\n"
        "except bert_tf.InputError as error: print(error)\n"
        "print('tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    error, loaded = done.stdout.splitlines()
    assert "<train> has only one column" in error
    assert loaded == "False"


@pytest.mark.slow
def test_what_the_process_has_set_up_is_left_alone(settings, tmp_path):
    """Devices, threads and seeds; then two strategies, one after the other."""
    write_csv(tmp_path / "rows.csv", review_rows(60))
    code = f"""
import random
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
devices = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, devices)
tf.config.threading.set_inter_op_parallelism_threads(3)
random.seed(1), np.random.seed(1)
expected = random.random(), np.random.rand()
from bert_tf import train
settings = {settings!r} | {{"num_train_epochs": 1}}
for strategy in ("mirrored", "one_device"):
    random.seed(1), np.random.seed(1)
    run = train("rows.csv", output_dir=strategy,
                distribution_strategy=strategy, **settings)
    assert (random.random(), np.random.rand()) == expected
    print(strategy, len(run.predict(["a good film"])))
assert tf.config.get_logical_device_configuration(cpu) == devices
assert tf.config.threading.get_inter_op_parallelism_threads() == 3
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["mirrored", "1", "one_device", "1"]
    assert "retracing" not in done.stderr
