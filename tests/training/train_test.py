import dataclasses
import json
import os
import runpy

import h5py
import keras
import numpy as np
import pandas as pd
import pytest
from absl import flags

from bert_tf.config.training import TrainConfig
from bert_tf.data import input_pipeline, tfrecord_writer
from bert_tf.errors import InputError
from bert_tf.tasks.classification import example_weights
from bert_tf.text.preprocessor import Preprocessor
from bert_tf.training.checkpoints import TrainingState
from bert_tf.training.train import train_files as train
from pipelines import common_flags
from tests.conftest import quick_config, review_rows, write_csv
from tests.data import readers_test
from tests.runs import evaluate_files
from tests.training.finetuning_test import Weights, saved_values

# Some: all give equal rows, see readers_test.
CHECKED_FORMS = (
    [form for form in readers_test.FORMS if form != readers_test.write_csv]
    if "ALL_FORMS" in os.environ
    else [readers_test.write_zip, readers_test.write_parquet]
)


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
        "task.json", "baseline.npz", "thresholds.csv", "thresholds_test.csv",
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
    with h5py.File(f"{trained_run}/checkpoints/best.weights.h5") as file:
        # The optimizer's moments would be twice the weights.
        assert set(file) == {"layers", "vars"}


@pytest.mark.slow
@pytest.mark.parametrize("write", CHECKED_FORMS)
def test_every_form_trains_the_same_weights(
    tiny_config, tmp_path, monkeypatch, write
):
    # By class, as files in folders are.
    rows = sorted(review_rows(60), key=lambda row: row[1])
    monkeypatch.setattr(readers_test, "ROWS", rows)
    values, reports = [], []
    for form in (readers_test.write_csv, write):
        folder = tmp_path / form.__name__
        folder.mkdir()
        path, options = form(folder)
        run = str(folder / "run")
        train(
            tiny_config(
                train_file=(str(path),),
                output_dir=run,
                num_train_epochs=1,
                **options,
            )
        )
        values.append(saved_values(run))
        with open(f"{run}/data_report.json") as file:
            reports.append(json.load(file))
    for part in [part for one in reports for part in one["parts"].values()]:
        del part["files"]
    assert reports[0] == reports[1]
    assert values[0].keys() == values[1].keys()
    for name, value in values[0].items():
        np.testing.assert_array_equal(value, values[1][name])


def test_it_learns(trained_run):
    with open(f"{trained_run}/metrics_test.json") as file:
        metrics = json.load(file)
    assert next(iter(metrics)) == "schema_version"
    assert metrics["eval_accuracy"] > 0.9
    assert metrics["best"]["metric"] == "loss"
    assert metrics["labels"] == ["neg", "pos"]


def test_history_and_best_epoch(trained_run):
    history = pd.read_csv(f"{trained_run}/history.csv")
    assert list(history["epoch"]) == list(range(1, 7))
    with open(f"{trained_run}/metrics.json") as file:
        metrics = json.load(file)
    best = history.loc[metrics["best"]["epoch"] - 1]
    assert metrics["best"]["value"] == history["eval_loss"].min()
    # What is reported is the best epoch, not the last one.
    assert metrics["eval_loss"] == pytest.approx(best["eval_loss"], rel=1e-5)


@pytest.fixture(scope="module")
def plain(tmp_path_factory, preset):
    """A training that others are compared with: its settings and metrics."""
    folder = tmp_path_factory.mktemp("plain")
    config = quick_config(
        train_file=(write_csv(folder / "train.csv", review_rows(90)),),
        validation_file=(write_csv(folder / "valid.csv", review_rows(30)),),
        output_dir=str(folder / "run"),
        preset=preset,
        contrastive="auto",
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


@pytest.fixture
def read_flags(monkeypatch):
    """Returns what makes of a --flagfile the settings of pipelines.train."""
    # Scripts that other tests import have flags of the same names.
    for name, value in vars(flags.FlagValues()).items():
        monkeypatch.setitem(vars(flags.FLAGS), name, value)
    # Not imported: a second import would declare nothing.
    runpy.run_module("pipelines.train")

    def read(path) -> TrainConfig:
        flags.FLAGS.unparse_flags()
        flags.FLAGS(["train", f"--flagfile={path}"])
        return common_flags.config_from_flags(TrainConfig)

    return read


def test_flags_file_repeats_the_run(trained_run, read_flags):
    with open(f"{trained_run}/config.json") as file:
        config = TrainConfig.from_json(json.load(file))
    assert read_flags(f"{trained_run}/flags.txt") == config
    # What the settings left open is decided, so that it stays so.
    assert config.text_column == "text"
    assert config.metric_for_best_model == "loss"


def test_flags_file_has_every_setting(read_flags, tmp_path):
    config = TrainConfig(
        train_file=("a b.csv", "c.csv"), validation_file=("d.csv",),
        test_file=("e.csv", "f=g.csv"), output_dir="runs/a b",
        validation_split=0.25, text_column="text a", text_pair_column="#b",
        label_column="--label", id_column="id", label_separator=";",
        label_names=("a", "b, c"), input_format="tsv", encoding="cp1252",
        delimiter="tab", header=False, column_names=("text a", "#b", "x"),
        escapechar="\\",
        label_issues_file="issues.csv", drop_label_issues=0.02,
        doc_stride=8, max_train_samples=9, max_eval_samples=10,
        preset="hf://a/b", max_seq_length=11, long_text="head_tail",
        train_batch_size=12, eval_batch_size=13, learning_rate=1e-05,
        learning_rate_schedule="cosine",
        num_train_epochs=14, warmup_proportion=1 / 3, weight_decay=0.0,
        dropout=0.0, calibrate=True, lora_rank=2,
        layerwise_learning_rate_decay=0.9, class_weight="balanced",
        positive_label="p", pooling="mean", head_init="random",
        contrastive="false", refit=False,
        drop_incomplete=True, merge_label_case=True,
        pad_to_multiple_of=8,
        metric_for_best_model="loss", early_stopping_patience=15, seed=0,
        distribution_strategy="tpu", tpu="local", mixed_precision="bfloat16",
        accumulate_steps=3, jit_compile="false", steps_per_execution=16,
        log_steps=17, max_truncated_share=0.0, resume="must",
        checkpoint_seconds=0.5, overwrite_output_dir=True,
        report_to=("mlflow", "tensorboard"),
    )  # fmt: skip
    others = {"lora_rank": None, "calibrate": False}
    configs = [
        config,
        # What excludes some of these.
        dataclasses.replace(
            config, freeze_backbone=True, long_text="window",
            window_pooling="max", **others,
        ),
        dataclasses.replace(
            config, task="regression", trainable_layers="last:2",
            class_weight="none", refit=True, validation_file=(),
            label_issues_file=None, drop_label_issues=None, **others,
        ),
    ]  # fmt: skip
    path = tmp_path / "flags.txt"
    for config in configs:
        path.write_text(config.to_flagfile())
        # Repeated, a run must not replace another.
        assert read_flags(path) == dataclasses.replace(
            config, overwrite_output_dir=False
        )
    default = TrainConfig(train_file=("a.csv",), output_dir="b")
    for field in dataclasses.fields(TrainConfig):
        values = [getattr(config, field.name) for config in configs]
        assert set(values) != {getattr(default, field.name)}, field.name


def test_early_stopping(tiny_config):
    metrics = train(
        tiny_config(
            num_train_epochs=9,
            # Nothing moves, not even the loss.
            learning_rate=1e-30,
            head_init="random",
            early_stopping_patience=1,
            metric_for_best_model="accuracy",
        )
    )
    assert metrics["train_epochs"] == 2
    assert metrics["best"]["epoch"] == 1


def test_the_linear_probe_is_epoch_0(tiny_config, review_file, tmp_path):
    """And is kept where no epoch is better."""
    config = tiny_config(
        validation_file=(review_file,), num_train_epochs=2, learning_rate=1e-30,
        pooling="mean",
    )  # fmt: skip
    metrics = train(config)
    assert metrics["best"]["epoch"] == 0
    assert list(pd.read_csv(tmp_path / "run" / "history.csv")["epoch"]) == [
        0,
        1,
        2,
    ]
    assert "the linear probe" in (tmp_path / "run" / "README.md").read_text()
    rows = [one["train_samples"] for one in metrics["learning_curve"]]
    assert rows == [24, 48, 96]
    report = (tmp_path / "run" / "report.html").read_text()
    assert "How often a linear probe is right" in report
    found = evaluate_files(config.output_dir, config.validation_file)
    assert found.metrics["eval_loss"] == pytest.approx(metrics["eval_loss"])
    at_random = train(
        tiny_config(
            validation_file=(review_file,), num_train_epochs=2,
            learning_rate=1e-30, head_init="random", pooling="mean",
            overwrite_output_dir=True,
        )
    )  # fmt: skip
    assert metrics["eval_loss"] < at_random["eval_loss"] - 0.01


def test_callbacks_may_stop(tiny_config):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            assert "eval_accuracy" in logs
            self.model.stop_training = epoch == 0

    metrics = train(tiny_config(num_train_epochs=5), callbacks=[Stop()])
    assert metrics["train_epochs"] == 1


def test_nan_loss_stops_with_step_and_rate(tiny_config):
    with pytest.raises(InputError, match=r"epoch 1, step \d+ of .* rate"):
        train(tiny_config(learning_rate=1e30, num_train_epochs=3))


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision(tiny_config, precision):
    metrics = train(tiny_config(mixed_precision=precision, num_train_epochs=1))
    assert np.isfinite(metrics["eval_loss"])


def test_mirrored_with_frozen_backbone_and_class_weights(tiny_config, tmp_path):
    """Equal texts, four in five of one class: of equal weight, both are."""
    rows = [
        ("the film was good", "pos" if number % 5 else "neg")
        for number in range(400)
    ]
    file = write_csv(tmp_path / "equal.csv", rows)
    noted = Weights()
    metrics = train(
        tiny_config(
            train_file=(file,),
            validation_file=(file,),
            distribution_strategy="mirrored",
            freeze_backbone=True,
            class_weight="balanced",
            dropout=0.0,
            train_batch_size=40,
            learning_rate=0.05,
            num_train_epochs=1,
        ),
        callbacks=[noted],
    )
    assert metrics["replicas"] == 2
    changed = noted.changed(saved_values(tmp_path / "run"))
    assert changed == {"logits/kernel", "logits/bias"}
    # Unweighted it is beyond 0.8 by then.
    predictions = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert predictions["probability_pos"].mean() == pytest.approx(0.5, abs=0.1)


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
    """The same loss, epoch by epoch, as from the texts of their length.

    The batches are equal, but not where in memory they lie, which moves the
    last bit of a sum.
    """
    preprocessor = Preprocessor(vocabulary, sequence_length=16)
    tfrecord_writer.create_records(
        plain[0].train_file, str(tmp_path / "records"),
        preprocessor=preprocessor, preset="tiny", shards=4,
    )  # fmt: skip
    _, history = train_again(
        plain, tmp_path / "run", train_file=(str(tmp_path / "records"),),
        max_seq_length=None,
    )  # fmt: skip
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


@pytest.mark.slow
def test_several_steps_in_one_call(plain, tmp_path):
    """Twelve steps per epoch: calls of 5, 5 and 2."""
    _, (one, five) = train_again(plain, tmp_path / "run", steps_per_execution=5)
    assert one["eval_loss"].equals(five["eval_loss"])
    np.testing.assert_allclose(one["loss"], five["loss"], rtol=1e-6)


def test_balanced_weights_add_up_over_the_epoch(
    tiny_config, tmp_path, monkeypatch
):
    """A class of a tenth has half of the loss; by batches it had less."""
    rows = [
        (f"{text} {i}", "rare" if i % 10 == 0 else "usual")
        for i, (text, _) in enumerate(review_rows(200))
    ]
    shares = []
    build_dataset = input_pipeline.build_dataset

    def recorded(*args, **kwargs):
        dataset = build_dataset(*args, **kwargs)
        if kwargs.get("weights") is not None:
            totals = np.zeros(2)
            for batch in dataset.as_numpy_iterator():
                np.add.at(totals, batch["label"], batch["weight"])
            shares.append(totals / totals.sum())
        return dataset

    monkeypatch.setattr(input_pipeline, "build_dataset", recorded)
    train(
        tiny_config(
            train_file=(write_csv(tmp_path / "t.csv", rows),),
            class_weight="balanced", num_train_epochs=1,
        )
    )  # fmt: skip
    np.testing.assert_allclose(shares[0], 0.5, atol=0.01)


@pytest.mark.parametrize(
    ("value", "best", "loss", "better"),
    [(0.0, 0.0, 0.4, True), (0.0, 0.0, 0.6, False), (None, None, 0.4, True),
     (0.1, 0.0, 0.9, True), (0.0, 0.1, 0.1, False), (None, 0.0, 0.1, False)],
)  # fmt: skip
def test_ties_are_broken_by_the_loss(value, best, loss, better):
    state = TrainingState(data={}, best=best, best_loss=0.5)
    assert state.is_better(value, loss, "f1") == better


def test_of_equal_epochs_the_trained_one_is_kept(tiny_config, tmp_path):
    """A metric of 0 in each epoch, while the loss falls."""
    rows = [
        (f"{text} {i}", "yes" if i % 40 == 0 else "no")
        for i, (text, _) in enumerate(review_rows(200))
    ]
    path = write_csv(tmp_path / "t.csv", rows)
    metrics = train(
        tiny_config(
            train_file=(path,), num_train_epochs=4, learning_rate=3e-4,
            early_stopping_patience=1, metric_for_best_model="f1",
            head_init="random",
        )
    )  # fmt: skip
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    assert (history["eval_f1"] == 0).all()
    assert len(history) == 4
    assert metrics["best"]["epoch"] == 1 + history["eval_loss"].argmin() > 1


@pytest.mark.parametrize(
    "label", [None, pytest.param("legit", marks=pytest.mark.slow)]
)
def test_f1_is_of_the_rarer_class(tiny_config, tmp_path, label):
    rows = [
        (f"{text} {i}", "fraud" if i % 5 == 0 else "legit")
        for i, (text, _) in enumerate(review_rows(150))
    ]
    path = write_csv(tmp_path / "t.csv", rows)
    metrics = train(
        tiny_config(
            train_file=(path,), num_train_epochs=1, positive_label=label
        )
    )
    positive = label or "fraud"
    assert metrics["positive_class"] == positive
    assert metrics["eval_f1"] == metrics["per_class"][positive]["f1"]
    assert metrics["confidence_intervals"]["eval_f1"] is not None
    # The run remembers it.
    found = evaluate_files(str(tmp_path / "run"), [path])
    assert found.metrics["positive_class"] == positive


def test_a_positive_label_that_is_none(tiny_config):
    with pytest.raises(InputError, match="--positive_label=x names one of two"):
        train(tiny_config(positive_label="x"))


@pytest.mark.parametrize(
    "changes",
    [{"label_separator": " "}, {"label_separator": "\t"},
     {"train_file": ("a,b.csv", "c.csv")}],
)  # fmt: skip
def test_what_a_flag_file_cannot_hold_is_escaped(read_flags, tmp_path, changes):
    config = TrainConfig(
        **{"train_file": ("a.csv",), "output_dir": "r", **changes}
    )
    path = tmp_path / "flags.txt"
    path.write_text(config.to_flagfile())
    assert read_flags(path) == config
    if "label_separator" in changes:
        assert config.separator == changes["label_separator"]
