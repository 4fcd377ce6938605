"""Every row is predicted by the model that has not seen it."""

import dataclasses
import json
import os
import pathlib
import time

import numpy as np
import pandas as pd
import pytest

from bert_tf import runs
from bert_tf.data.folds import read_folds
from bert_tf.data.splits import read_splits
from bert_tf.errors import InputError
from bert_tf.training import folds
from bert_tf.training import train as train_lib
from tests.conftest import quick_config, review_rows, write_csv
from tests.scripts import Script, run_script


@pytest.fixture(scope="module")
def probed(preset, tmp_path_factory):
    """Trainings of the linear probe alone, on 48 rows with ids and copies."""
    folder = tmp_path_factory.mktemp("probed")
    rows = [
        (f"row-{number}", text, label)
        for number, (text, label) in enumerate(review_rows(40) * 2)
    ][:48]
    path = folder / "train.csv"
    pd.DataFrame(rows, columns=["id", "text", "label"]).to_csv(
        path, index=False
    )
    test = write_csv(folder / "test.csv", review_rows(12))

    def build(name, **changes):
        return quick_config(
            train_file=(str(path),),
            output_dir=str(folder / name),
            preset=preset,
            num_train_epochs=0,
            **{"test_file": (test,), **changes},
        )

    return build


@pytest.fixture(scope="module")
def folded(probed):
    """Three folds, with the labels that may be wrong: settings, summary."""
    pytest.importorskip("cleanlab")
    config = probed("folds")
    return config, folds.train_folds(
        config, read_folds(config, 3), with_label_issues=True
    )


def test_rows_held_out_and_the_mean_of_the_models(folded):
    config, summary = folded
    found = pd.read_csv(f"{config.output_dir}/oof_predictions.csv")
    rows = pd.read_csv(config.train_file[0])
    pd.testing.assert_frame_equal(
        found[["id", "text", "true_label"]],
        rows[["id", "text", "label"]].rename(columns={"label": "true_label"}),
    )
    found = found.set_index("id")
    models = [runs.load(path) for path in summary["runs"]]
    for model in models:
        held_out = pd.read_csv(f"{model.path}/predictions_test.csv")
        np.testing.assert_allclose(
            held_out["score"], found.loc[held_out["id"], "score"], atol=1e-5
        )
    accuracies = [model.test_metrics["eval_accuracy"] for model in models]
    held_out = summary["held_out"]["eval_accuracy"]
    assert held_out["values"] == accuracies
    assert held_out["mean"] == pytest.approx(np.mean(accuracies))
    with open(f"{config.output_dir}/metrics.json") as file:
        metrics = json.load(file)
    right = found["label"] == found["true_label"]
    assert metrics["eval_accuracy"] == pytest.approx(right.mean())
    assert metrics["num_folds"] == 3
    # The test file: by all of them.
    test = pd.read_csv(f"{config.output_dir}/predictions_test.csv")
    columns = [name for name in test if name.startswith("probability_")]
    answers = [model.predict(list(test["text"]))[columns] for model in models]
    np.testing.assert_allclose(
        test[columns], np.mean(answers, axis=0), atol=1e-5
    )
    page = open(f"{config.output_dir}/report.html").read()
    assert "the out-of-fold split" in page and "label_issues" in page
    assert "Rows held out, 3 folds" in folds.describe(summary)


def test_labels_that_may_be_wrong(folded, probed):
    """Found by the folds, shown, and left out of a training."""
    config, _ = folded
    path = f"{config.output_dir}/label_issues.csv"
    issues = pd.read_csv(path, keep_default_na=False)
    wrong = issues[issues["issue"] == "label"]
    held_out = pd.read_csv(f"{config.output_dir}/oof_predictions.csv")
    held_out = held_out.set_index("id").loc[wrong["id"]]
    assert list(held_out["true_label"]) == list(wrong["label"])
    assert list(held_out["label"]) == list(wrong["suggested_label"])
    page = open(f"{config.output_dir}/report.html").read()
    assert "Labels that may be wrong" in page and wrong["id"].iloc[0] in page
    cleaned = probed(
        "cleaned", label_issues_file=path, drop_label_issues=0.1, test_file=()
    )
    left = read_splits(cleaned)
    metrics = train_lib.train(left, cleaned)
    assert 0 < left.num_dropped <= 4
    assert metrics["dropped_label_issues"] == left.num_dropped
    assert metrics["train_samples"] == len(left.frames["train"])


@pytest.mark.slow
def test_the_model_of_all_rows(probed):
    config = probed("all_rows", test_file=())
    path = folds.train_all_rows(config, read_folds(config, 3))
    assert runs.load(path).metrics["refit_samples"] == 48


def test_other_folds_and_other_folders(probed):
    config = probed("other")
    folds._check_data(config, read_folds(config, 3))
    folds._check_data(config, read_folds(config, 3))
    with pytest.raises(InputError, match="num_folds: 3 there, 4 now"):
        folds._check_data(config, read_folds(config, 4))
    overwriting = dataclasses.replace(config, overwrite_output_dir=True)
    folds._check_data(overwriting, read_folds(config, 4))
    folder = pathlib.Path(config.output_dir)
    (folder / "folds_data.json").unlink()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="is not an empty folder"):
        folds._check_data(overwriting, read_folds(config, 3))


@pytest.mark.slow
def test_killed_and_exported(probed, tmp_path):
    """In either fold: the files are those of a run without a break."""
    config = probed("whole", test_file=())
    folds.train_folds(config, read_folds(config, 2))
    flags = tmp_path / "flags.txt"
    killed = probed("killed", test_file=())
    flags.write_text(killed.to_flagfile())
    command = ("train", f"--flagfile={flags}", "--num_folds=2",
               "--export=folded")  # fmt: skip
    there = tmp_path / "there"
    there.mkdir()
    for file in ("fold_1/metrics.json", "fold_2/config.json"):
        script = Script(*command, cwd=there)
        while not os.path.exists(f"{killed.output_dir}/{file}"):
            assert script.poll() is None
            time.sleep(0.01)
        script.kill()
        script.wait()
    done = run_script(*command, cwd=there)
    assert "Rows held out, 2 folds" in done.stdout
    pd.testing.assert_frame_equal(
        pd.read_csv(f"{config.output_dir}/oof_predictions.csv"),
        pd.read_csv(f"{killed.output_dir}/oof_predictions.csv"),
    )
    page = open(f"{config.output_dir}/report.html").read()
    assert "pipelines.label_issues" in page
    assert runs.load(f"{tmp_path}/there/saved_models/folded").predict(["good"])[
        "label"
    ].iloc[0] in ("pos", "neg")
