import json
import os
import shutil

import numpy as np
import pytest

from bert_tf.config.distillation import LossWeights, student_config
from bert_tf.distillation import distill as distill_lib
from bert_tf.distillation.distill import distill
from bert_tf.errors import InputError, InterruptedTrainingError
from bert_tf.inference import loaded_run
from bert_tf.models import classifier
from bert_tf.presets import presets
from bert_tf.serving.export import export
from tests.conftest import review_rows, tiny_backbone, write_csv
from tests.scripts import run_script


@pytest.fixture
def test_file(tmp_path):
    return write_csv(tmp_path / "test.csv", review_rows(60))


def test_student_keeps_what_the_teacher_knows(
    trained_run, tmp_path, test_file, review_file
):
    folder = str(tmp_path / "student")
    report = distill(
        trained_run,
        student_config(
            trained_run,
            output_dir=folder,
            train_file=(review_file,),
            test_file=(test_file,),
            num_train_epochs=4,
            learning_rate=5e-3,
        ),
        unlabelled_file=(write_csv_text(tmp_path),),
    )
    assert report["num_layers"] == 1
    assert report["kept_share"] > 0.9
    assert report["student_parameters"] < report["teacher_parameters"]
    assert report["speed_ratio"] > 0
    with open(f"{folder}/distillation.json") as file:
        assert json.load(file) == report
    assert not os.path.exists(f"{folder}.start")
    # What flags.txt names is there.
    with open(f"{folder}/flags.txt") as file:
        flags = dict(line.strip().split("=", 1) for line in file)
    assert presets.resolve(flags["--preset"]).max_positions == 32
    with open(f"{folder}/metrics.json") as file:
        assert json.load(file)["train_samples"] > 120 * 3 // 4
    # The validation split has people's labels alone.
    with open(f"{folder}/data_report.json") as file:
        parts = json.load(file)["parts"]
    assert parts["validation"]["files"] == [review_file]
    assert len(parts["train"]["files"]) == 2
    assert parts["train"]["rows"] == 120 - parts["validation"]["rows"] + 40
    assert classifier.backbone_of(loaded_run.load(folder).model).num_layers == 1
    export(folder, name="student", models_dir=str(tmp_path / "models"))


def write_csv_text(tmp_path) -> str:
    rows = [(text,) for text, _ in review_rows(40)]
    return write_csv(tmp_path / "more.csv", rows, "text")


def test_layers_as_distilbert_takes_them():
    assert distill_lib.chosen_layers(12, 6) == [0, 2, 4, 7, 9, 11]
    assert distill_lib.chosen_layers(6, 3) == [0, 2, 5]
    assert distill_lib.chosen_layers(2, 1) == [0]
    with pytest.raises(InputError, match="below the teacher's 6"):
        distill_lib.chosen_layers(6, 6)


def test_student_starts_from_the_teachers_layers():
    teacher = tiny_backbone(num_layers=4)
    student = distill_lib.build_student_backbone(teacher, num_layers=2)
    for own, other in zip((0, 1), (0, 3), strict=True):
        for mine, theirs in zip(
            student.transformer_layers[own].get_weights(),
            teacher.transformer_layers[other].get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(mine, theirs)


def test_loss_of_the_teacher_itself_is_its_hard_loss(trained_run):
    """The soft and the cosine part are 0 where both are the same."""
    model = loaded_run.load(trained_run).model
    ids = np.array([[2, 6, 8, 3], [2, 7, 3, 0]], np.int32)
    batch = {
        "token_ids": ids,
        "segment_ids": np.zeros_like(ids),
        "padding_mask": (ids > 0).astype(np.int32),
        "label": np.array([0, 1], np.int32),
        "weight": np.array([0.5, 0.5], np.float32),
        "row": np.array([0, 1], np.int32),
    }

    model.get_layer("head_dropout").rate = 0.0
    classifier.backbone_of(model).dropout = 0.0

    def loss(**weights):
        parts = {"soft_weight": 0, "hard_weight": 0, "cosine_weight": 0}
        loss_fn = distill_lib.build_loss(
            LossWeights(**{**parts, **weights}), model, model
        )
        return float(loss_fn(batch, np.array([1, 2], np.uint32))[0])

    assert loss(soft_weight=1) == pytest.approx(0, abs=1e-6)
    assert loss(cosine_weight=1) == pytest.approx(0, abs=1e-6)
    assert loss(hard_weight=1) > 0.001
    assert loss(soft_weight=3, hard_weight=1) == pytest.approx(
        loss(hard_weight=1) / 4, rel=1e-4
    )


def test_a_student_learns_with_all_its_weights(trained_run, tmp_path):
    """Whatever part of the teacher was trained."""
    teacher = str(tmp_path / "teacher")
    shutil.copytree(trained_run, teacher)
    with open(f"{teacher}/config.json") as file:
        config = json.load(file)
    with open(f"{teacher}/config.json", "w") as file:
        json.dump({**config, "trainable_layers": "last:2"}, file)
    config = student_config(teacher, output_dir="student")
    assert config.trainable_layers is None


def test_faults(trained_run, monkeypatch):
    with pytest.raises(InputError, match="above 0"):
        LossWeights(temperature=0)
    with pytest.raises(InputError, match="not be below 0"):
        LossWeights(soft_weight=-1)
    config = student_config(trained_run, output_dir="gs://bucket/student")
    with pytest.raises(InputError, match="name a local one"):
        distill(trained_run, config)
    worker = {"type": "worker", "index": 0}
    cluster = {"worker": ["localhost:1", "localhost:2"]}
    monkeypatch.setenv(
        "TF_CONFIG", json.dumps({"cluster": cluster, "task": worker})
    )
    config = student_config(trained_run, output_dir="student")
    with pytest.raises(InputError, match="in one process"):
        distill(trained_run, config)


def test_tpus_are_refused(tiny_config, tmp_path):
    with pytest.raises(InputError, match="does not run on TPUs"):
        distill(str(tmp_path), tiny_config(distribution_strategy="tpu"))


def student_of(trained_run, tmp_path, review_file, **changes):
    return student_config(
        trained_run,
        **{
            "output_dir": str(tmp_path / "student"),
            "train_file": (review_file,),
            "validation_file": (),
            "num_train_epochs": 1,
            **changes,
        },
    )


@pytest.mark.slow
def test_a_kill_while_comparing_loses_no_report(
    trained_run, tmp_path, review_file, test_file, monkeypatch
):
    config = student_of(
        trained_run, tmp_path, review_file, test_file=(test_file,)
    )

    def killed(*args):
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(distill_lib, "_compare", killed)
        with pytest.raises(RuntimeError, match="killed"):
            distill(trained_run, config)
    report = distill(trained_run, config)
    assert report["kept_share"] is not None
    assert not os.path.exists(f"{config.output_dir}.start")


def test_resumed_with_other_losses(
    trained_run, tmp_path, review_file, monkeypatch
):
    config = student_of(trained_run, tmp_path, review_file)
    with pytest.raises(InterruptedTrainingError):
        with monkeypatch.context() as patch:
            patch.setattr(distill_lib.train_lib, "train", interrupted)
            distill(trained_run, config)
    # As if the run folder of the interrupted training were there.
    os.makedirs(config.output_dir)
    with open(f"{config.output_dir}/config.json", "w") as file:
        json.dump(config.to_json(), file)
    for changes in (
        {"weights": LossWeights(temperature=3.0)}, {"num_layers": 3},
    ):  # fmt: skip
        with pytest.raises(InputError, match="temperature|num_layers"):
            distill(trained_run, config, **changes)


def interrupted(*args, **kwargs):
    raise InterruptedTrainingError("terminated")


@pytest.mark.slow
def test_what_is_not_named_is_the_teachers(trained_run, tmp_path):
    """A flag's default is not what the command says."""
    teacher = tmp_path / "teacher"
    shutil.copytree(trained_run, teacher)
    with open(teacher / "config.json") as file:
        config = json.load(file)
    config.update(seed=7, accumulate_steps=2, log_steps=9)
    (teacher / "config.json").write_text(json.dumps(config))
    script = run_script(
        "distill", f"--teacher={teacher}",
        f"--output_dir={tmp_path / 'student'}", "--num_train_epochs=1",
        "--weight_decay=0.05",
    )  # fmt: skip
    assert script.returncode == 0, script.stderr
    configs = []
    for folder in (teacher, tmp_path / "student"):
        with open(f"{folder}/config.json") as file:
            configs.append(json.load(file))
    different = {
        name for name in configs[0] if configs[0][name] != configs[1][name]
    }
    assert "weight_decay" in different
    assert different <= {
        "weight_decay", "output_dir", "num_train_epochs", "learning_rate",
        "preset",
    }  # fmt: skip
