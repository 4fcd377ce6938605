"""Regression and multi-label: from files to the SavedModel's answers."""

import csv
import json
import os

import numpy as np
import pytest
import tensorflow as tf

from bert_tf.config import TrainConfig
from bert_tf.errors import InputError
from bert_tf.evaluation import evaluate
from bert_tf.serving.export import export
from bert_tf.serving.predictor import Predictor
from bert_tf.training.train import train
from tests.conftest import LETTERS, WORDS
from tests.serving import hermetic
from tests.serving.export_test import HOSTILE

GOOD, BAD = WORDS[:4], WORDS[4:8]


def pair_rows(count):
    """How alike two texts are: 4 with one word in common, else 1."""
    generator = np.random.default_rng(2)
    rows = []
    for i in range(count):
        first = GOOD[i % 4]
        second = first if i % 2 else BAD[i // 2 % 4]
        tail = LETTERS[generator.integers(26)]
        rows.append(
            (f"it was {first} {tail}", f"a {second} plot", 1 + 3 * (i % 2))
        )
    return rows


def label_rows(count):
    rows = []
    for i in range(count):
        labels = [name for k, name in enumerate(("up", "down")) if i >> k & 1]
        words = [{"up": GOOD, "down": BAD}[name][i // 4 % 4] for name in labels]
        rows.append((f"the plot {' '.join(words)} {LETTERS[i % 26]}", labels))
    return rows


def write(path, header, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


def settings(folder, preset, **changes):
    return TrainConfig(
        **{
            "output_dir": str(folder / "run"),
            "preset": preset,
            "max_seq_length": 20,
            "train_batch_size": 8,
            "learning_rate": 5e-3,
            "num_train_epochs": 6,
            "validation_split": 0.25,
            **changes,
        }
    )


@pytest.fixture(scope="module")
def regression(tmp_path_factory, preset):
    folder = tmp_path_factory.mktemp("regression")
    file = write(
        folder / "t.csv", ("text_a", "text_b", "label"), pair_rows(160)
    )
    metrics = train(
        settings(folder, preset, train_file=(file,), task="regression")
    )
    model = export(
        str(folder / "run"), name="m", models_dir=str(folder / "models")
    )
    return folder, file, metrics, model


@pytest.fixture(scope="module")
def multi_label(tmp_path_factory, preset):
    folder = tmp_path_factory.mktemp("multi_label")
    rows = [(text, "; ".join(labels)) for text, labels in label_rows(480)]
    file = write(folder / "t.csv", ("text", "labels"), rows)
    metrics = train(
        settings(
            folder,
            preset,
            train_file=(file,),
            task="multi_label",
            label_separator=";",
            num_train_epochs=10,
            learning_rate=3e-3,
        )
    )
    model = export(
        str(folder / "run"), name="m", models_dir=str(folder / "models")
    )
    return folder, file, metrics, model


def test_regression_learns(regression):
    folder, _, metrics, _ = regression
    assert metrics["eval_pearson"] > 0.7
    assert (
        metrics["eval_mean_squared_error"]
        < metrics["mean_baseline_squared_error"]
    )
    assert metrics["best"]["metric"] == "pearson"
    files = set(os.listdir(folder / "run"))
    assert {"report.html", "README.md", "predictions.csv"} <= files
    assert "confusion_matrix.png" not in files


def test_multi_label_learns(multi_label):
    _, _, metrics, model = multi_label
    # Both labels always would be 0.67.
    assert metrics["eval_f1_micro"] > 0.75
    assert set(metrics["per_class"]) == {"up", "down"}
    with open(os.path.join(model, "assets.extra", "task.json")) as file:
        saved = json.load(file)
    assert saved["parameters"]["thresholds"] == metrics["thresholds"]


@pytest.mark.parametrize("which", ["regression", "multi_label"])
def test_run_and_saved_model_evaluate_alike(which, request, tmp_path):
    folder, file, _, model = request.getfixturevalue(which)
    both = [
        evaluate.evaluate(path, [file]) for path in (str(folder / "run"), model)
    ]
    np.testing.assert_allclose(
        both[0].probabilities, both[1].probabilities, atol=1e-5
    )
    for key, value in both[0].metrics.items():
        if key.startswith("eval_") and not key.endswith(("runtime", "second")):
            assert both[1].metrics[key] == pytest.approx(value, abs=1e-5)
    evaluate.write(str(tmp_path), both[1])
    assert (tmp_path / "report.html").exists()


def test_multi_label_answers(multi_label):
    model = Predictor(multi_label[3])
    texts = ["the plot good bad x", "the plot good x", "the plot x"]
    answers = model.call("serving_default", {"text": np.array(texts, object)})
    names = np.array(model.class_names)
    limits = np.float32(model.task.thresholds)
    cells = model.cells((texts,))
    for row, chances in enumerate(answers["probabilities"]):
        order = np.argsort(-chances, kind="stable")
        wanted = [i for i in order if chances[i] >= limits[i]]
        count = len(wanted)
        assert answers["count"][row] == count
        labels = [label.decode() for label in answers["labels"][row]]
        assert labels == [*names[wanted], *[""] * (2 - count)]
        np.testing.assert_array_equal(
            answers["scores"][row, :count], chances[wanted]
        )
        assert not answers["scores"][row, count:].any()
        assert cells[row][0] == [";".join(names[wanted])]


@pytest.mark.slow
def test_hermetic(regression, multi_label, tmp_path):
    text = "it was good"
    for folder, model, inputs, key in (
        (tmp_path / "a", regression[3], ("text_a", "text_b"), "score"),
        (tmp_path / "b", multi_label[3], ("text",), "probabilities"),
    ):
        folder.mkdir()
        texts = {name: [text] for name in inputs}
        found = hermetic.answers(model, folder, **texts)[key]
        here = Predictor(model).call(
            "serving_default",
            {name: np.array([text], object) for name in inputs},
        )[key]
        np.testing.assert_allclose(found, here, atol=1e-6)


@pytest.mark.parametrize("which", ["regression", "multi_label"])
def test_hostile_texts(which, request):
    model = tf.saved_model.load(request.getfixturevalue(which)[3])
    serve = model.signatures["serving_default"]
    names = sorted(serve.structured_input_signature[1])

    def ask(texts):
        return serve(**{name: tf.constant(texts, tf.string) for name in names})

    good = b"it was good"
    texts = [good, *(text.encode() for text in HOSTILE), b"\xff\xfe " + good]
    key = "score" if which == "regression" else "probabilities"
    together = ask(texts)[key].numpy()
    assert np.isfinite(together).all()
    np.testing.assert_allclose(together[0], ask([good])[key][0], atol=1e-5)
    np.testing.assert_allclose(together[0], together[-1], atol=1e-5)
    assert ask([])[key].shape[0] == 0


def test_faults_are_told(tmp_path, preset):
    file = write(
        tmp_path / "t.csv", ("text", "label"), [("a", "1"), ("b", "x")]
    )
    with pytest.raises(InputError, match='line 3: the label "x" is not a numb'):
        train(
            settings(
                tmp_path, preset, train_file=(file,), validation_file=(file,),
                task="regression",
            )
        )  # fmt: skip
    with pytest.raises(InputError, match="needs at least two"):
        train(
            settings(
                tmp_path, preset, train_file=(file,), validation_file=(file,),
                task="multi_label", label_separator="|", max_train_samples=1,
            )
        )  # fmt: skip
    with pytest.raises(InputError, match="must be one of pearson"):
        settings(
            tmp_path, preset, train_file=(file,), task="regression",
            metric_for_best_model="f1",
        )  # fmt: skip
    with pytest.raises(InputError, match="--calibrate is for"):
        settings(
            tmp_path, preset, train_file=(file,), task="regression",
            calibrate=True,
        )  # fmt: skip
