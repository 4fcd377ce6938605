import csv
import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from bert_tf.errors import InputError
from bert_tf.models import trained as trained_lib
from bert_tf.serving import export
from bert_tf.serving.predictor import Predictor

HOSTILE = [
    "",
    "a" * 1_000_000,
    "word " * 200_000,
    "\0\0 good",
    "😀🏽‍♀️ שלום 中文",
    "[SEP] [MASK]",
]


def test_versions_are_published_by_rename(trained_run, tmp_path):
    models = str(tmp_path / "models")
    paths = [
        export.export(trained_run, name="m", models_dir=models)
        for _ in range(2)
    ]
    assert paths == [f"{models}/m/1", f"{models}/m/2"]
    assert sorted(os.listdir(models)) == [".m.lock", "m"]
    assert sorted(os.listdir(f"{models}/m")) == ["1", "2", "serving"]


def test_each_weight_is_stored_once(saved_model, trained_run):
    model = trained_lib.load(trained_run).model
    size = 4 * trained_lib.count_parameters(model)
    data = f"{saved_model}/variables/variables.data-00000-of-00001"
    # The file also holds the names; only a small model notices.
    assert size <= os.path.getsize(data) <= 1.1 * size + 10_000


def test_hostile_texts_do_not_disturb_their_neighbours(saved_model):
    predictor = Predictor(saved_model)
    alone = predictor.probabilities((["the film was good"],))
    mixed = predictor.probabilities((["the film was good", *HOSTILE],))
    assert np.isfinite(mixed).all()
    np.testing.assert_allclose(mixed[:1], alone, atol=1e-6)


def test_invalid_utf8_and_an_empty_batch(saved_model):
    loaded = tf.saved_model.load(saved_model)
    serve = loaded.signatures["serving_default"]
    good = b"the film was good"
    answer = serve(text=tf.constant([b"\xff\xfe " + good, good]))
    labels = answer["label"].numpy()
    assert labels[0] == labels[1] == b"pos"
    empty = serve(text=tf.constant([], tf.string))
    assert empty["probabilities"].shape == (0, 2)
    assert set(answer) == {"label", "score", "probabilities"}


def test_parity_gate_refuses_other_answers(trained_run, tmp_path):
    run = str(tmp_path / "run")
    shutil.copytree(trained_run, run)
    path = f"{run}/predictions.csv"
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    rows[3]["probability_neg"] = str(float(rows[3]["probability_neg"]) + 2e-5)
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    models = str(tmp_path / "models")
    with pytest.raises(InputError, match="nothing was published"):
        export.export(run, name="m", models_dir=models)
    assert os.listdir(models) == []


def test_extra_assets(saved_model):
    extra = f"{saved_model}/assets.extra"
    assert sorted(os.listdir(extra)) == [
        "README.md", "labels.txt", "metrics.json",
        "tf_serving_warmup_requests", "vocab.txt",
    ]  # fmt: skip
    with open(f"{extra}/metrics.json") as file:
        assert json.load(file)["labels"] == ["neg", "pos"]


def test_unfinished_run(trained_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained_run, run)
    (run / "metrics.json").unlink()
    with pytest.raises(InputError, match="did not finish"):
        export.export(str(run), name="m", models_dir=str(tmp_path))
