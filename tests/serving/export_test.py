import csv
import json
import os
import shutil

import numpy as np
import pytest

from bert_tf.errors import InputError
from bert_tf.serving import export, signatures
from tests.runs import evaluate_files
from tests.scripts import run_script


def test_versions_are_published_by_rename(trained_run, tmp_path):
    models = str(tmp_path / "models")
    paths = [
        export.export(trained_run, name="m", models_dir=models)
        for _ in range(2)
    ]
    assert paths == [f"{models}/m/1", f"{models}/m/2"]
    assert sorted(os.listdir(models)) == [".m.lock", "m"]
    assert sorted(os.listdir(f"{models}/m")) == ["1", "2", "serving"]


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
        "README.md", "labels.txt", "metrics.json", "task.json",
        "tf_serving_warmup_requests", "vocab.txt",
    ]  # fmt: skip
    with open(f"{extra}/metrics.json") as file:
        assert json.load(file)["labels"] == ["neg", "pos"]
    with open(f"{extra}/README.md") as file:
        assert "- Trained from `" in file.read()


def test_describe_says_classes_and_length(saved_model, tmp_path):
    shown = signatures.describe_model(saved_model)
    assert shown == (
        "- Classes: neg, pos\n"
        "- Texts are cut at 16 tokens, [CLS] and [SEP] included"
    )
    done = run_script("export", f"--describe={saved_model}")
    assert done.stdout.startswith(f"{shown}\n\nSignature `serving_default`")
    # Of another origin, or without what is for people.
    assert signatures.describe_model(str(tmp_path)) == ""
    extra = tmp_path / "assets.extra"
    extra.mkdir()
    for name in ("labels.txt", "task.json"):
        shutil.copy(f"{saved_model}/assets.extra/{name}", extra)
    (tmp_path / "saved_model.pb").touch()
    assert signatures.describe_model(str(tmp_path)) == "- Classes: neg, pos"


def test_unfinished_run(trained_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained_run, run)
    (run / "metrics.json").unlink()
    with pytest.raises(InputError, match="did not finish"):
        export.export(str(run), name="m", models_dir=str(tmp_path))


def test_mean_pooling_is_served(run_of_mean, review_file, tmp_path):
    """The export's check compares the SavedModel with the run's predictions."""
    folder = export.export(
        run_of_mean, name="m", models_dir=str(tmp_path / "m")
    )
    evaluated = [
        evaluate_files(path, [review_file]).predictions
        for path in (run_of_mean, folder)
    ]
    np.testing.assert_allclose(*evaluated, atol=1e-5)
