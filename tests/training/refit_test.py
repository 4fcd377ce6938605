"""Training once more, on the validation rows as well."""

import dataclasses
import os

import numpy as np
import pandas as pd
import pytest

from bert_tf import run_dir, runs
from bert_tf.errors import InputError, InterruptedTrainingError
from bert_tf.inference import loaded_run
from bert_tf.serving.export import export
from bert_tf.training import refit
from bert_tf.training.train import train_files as train
from tests.conftest import review_rows, write_csv
from tests.training.checkpoints_test import Terminate, weights


@pytest.fixture
def few_rows(tiny_config, tmp_path):
    """A training of 32 rows, 8 of them for validation; 24 more to test."""
    rows = review_rows(56)
    path = write_csv(tmp_path / "few.csv", rows[:32])
    test = write_csv(tmp_path / "test.csv", rows[32:])

    def build(name, **changes):
        return tiny_config(
            train_file=(path,),
            test_file=(test,),
            output_dir=str(tmp_path / name),
            **{
                "contrastive": "auto",
                "num_train_epochs": 1,
                "learning_rate": 5e-3,
                "pooling": "mean",
                "metric_for_best_model": "loss",
                **changes,
            },
        )

    return build


def test_figures_are_of_before_and_the_weights_of_all_rows(few_rows, tmp_path):
    with_it, without = few_rows("with"), few_rows("without", refit=False)
    metrics, others = train(with_it), train(without)
    keys = ("eval_loss", "eval_accuracy", "train_samples", "eval_samples")
    assert [metrics[key] for key in keys] == [others[key] for key in keys]
    assert metrics["refit_samples"] == 32
    assert "refit_samples" not in others
    of_both = [
        pd.read_csv(f"{config.output_dir}/predictions.csv")["score"]
        for config in (with_it, without)
    ]
    np.testing.assert_array_equal(*of_both)
    # The test split is asked of what is saved, and so is the export.
    of_both = [
        pd.read_csv(f"{config.output_dir}/predictions_test.csv")["score"]
        for config in (with_it, without)
    ]
    assert np.abs(of_both[0] - of_both[1]).max() > 1e-4
    os.rename(f"{tmp_path}/with/predictions.csv", f"{tmp_path}/kept.csv")
    export(f"{tmp_path}/with", name="one", models_dir=str(tmp_path / "models"))
    os.rename(f"{tmp_path}/kept.csv", f"{tmp_path}/with/predictions.csv")
    os.remove(f"{tmp_path}/with/predictions_refit.csv")
    with pytest.raises(InputError, match="nothing was published"):
        export(f"{tmp_path}/with", name="two", models_dir=str(tmp_path / "m"))
    assert "--refit=true\n" in (tmp_path / "with" / "flags.txt").read_text()
    page = (tmp_path / "with" / "report.html").read_text()
    assert "was trained on all 32 labelled rows" in page


@pytest.mark.slow
def test_terminated_and_started_again(few_rows, monkeypatch):
    """While the epoch lasts, and when the weights are there already."""
    train(few_rows("one"))
    config = few_rows("two")
    with pytest.raises(InterruptedTrainingError):
        train(config, callbacks=[Terminate(0, 12)])

    def killed(*args, **kwargs):
        refit_model(*args, **kwargs)
        raise KeyboardInterrupt

    refit_model = refit.refit
    with monkeypatch.context() as patched:
        patched.setattr(refit, "refit", killed)
        with pytest.raises(KeyboardInterrupt):
            train(config)
    train(config)
    one, two = weights(few_rows("one").output_dir), weights(config.output_dir)
    assert one.keys() == two.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, two[name])


@pytest.mark.parametrize(
    ("changes", "best_epoch"),
    [
        # The probe alone, two epochs after one, and without one.
        ({"num_train_epochs": 0, "contrastive": "false"}, 0),
        pytest.param({"num_train_epochs": 3}, None, marks=pytest.mark.slow),
        pytest.param(
            {"num_train_epochs": 2, "contrastive": "false"},
            None,
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"num_train_epochs": 2, "head_init": "random"},
            None,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_up_to_the_best_epoch(few_rows, changes, best_epoch):
    config = few_rows("run", **{"contrastive": "auto", **changes}, refit=True)
    metrics = train(config)
    if best_epoch is not None:
        assert metrics["best"]["epoch"] == best_epoch
    assert metrics["refit_samples"] == 32
    before, after = (
        pd.read_csv(f"{config.output_dir}/predictions{suffix}.csv")["score"]
        for suffix in ("", "_refit")
    )
    assert np.abs(before - after).max() > 1e-4
    assert sorted(os.listdir(f"{config.output_dir}/checkpoints")) == [
        "best.weights.h5"
    ]


def test_the_weights_are_those_of_a_training_on_all_rows(few_rows, tiny_config):
    """Of the probe, which depends on nothing but the rows."""
    config = few_rows(
        "run", num_train_epochs=0, contrastive="false", refit=True
    )
    train(config)
    rows = pd.read_csv(config.train_file[0])
    validation = pd.read_csv(f"{config.output_dir}/predictions.csv")
    is_validation = rows["text"].isin(validation["text"])
    assert 0 < is_validation.sum() == len(validation)
    # As refit has them: the training rows, then the others.
    ordered = pd.concat([rows[~is_validation], rows[is_validation]])
    ordered.to_csv(f"{config.output_dir}.csv", index=False)
    all_rows = few_rows(
        "all", num_train_epochs=0, contrastive="false", refit=False
    )
    train(
        dataclasses.replace(
            all_rows,
            train_file=(f"{config.output_dir}.csv",),
            validation_file=config.test_file,
        )
    )
    one, two = weights(config.output_dir), weights(all_rows.output_dir)
    for name, values in one.items():
        np.testing.assert_allclose(values, two[name], atol=1e-6)


@pytest.mark.slow
def test_numbers_keep_their_scale(tiny_config, tmp_path):
    """Saved weights answer numbers, trained ones their deviations."""
    rows = [
        (f"{index} {'good ' * (index % 8)}bad", str(1000 + 10 * (index % 8)))
        for index in range(64)
    ]
    path = write_csv(tmp_path / "numbers.csv", rows)
    config = tiny_config(
        train_file=(path,), task="regression", num_train_epochs=1, refit=True,
        metric_for_best_model=None,
    )  # fmt: skip
    train(config)
    answers = pd.read_csv(f"{config.output_dir}/predictions_refit.csv")
    assert answers["score"].between(950, 1120).all()
    model = loaded_run.open_model(config.output_dir, batch_size=8)
    scores = model.predict_encoded(model.encode((list(answers["text"]),)))
    np.testing.assert_allclose(scores[:, 0], answers["score"], rtol=1e-5)


@pytest.mark.slow
def test_killed_before_the_weights_take_their_place(few_rows, monkeypatch):
    """The finished run answers as what was evaluated."""
    config = few_rows("run")
    monkeypatch.setattr(run_dir, "keep_refit", lambda path: None)
    train(config)
    scores = pd.read_csv(f"{config.output_dir}/predictions_refit.csv")["score"]
    found = runs.load(config.output_dir).predict(
        list(pd.read_csv(f"{config.output_dir}/predictions.csv")["text"])
    )
    np.testing.assert_allclose(found["score"], scores, atol=1e-5)


def test_other_validation_rows_are_no_part_of_it(few_rows):
    with pytest.raises(InputError, match="--validation_file gives others"):
        few_rows("run", refit=True, validation_file=("a.csv",))
