"""The scripts as a user runs them, each in a process of its own."""

import csv
import json
import os

import numpy as np
import pytest

from bert_tf.config.training import TrainConfig
from bert_tf.inference.saved_model_predictor import SavedModelPredictor
from bert_tf.serving.export import export
from bert_tf.training.train import train_files as train
from tests.conftest import minilm_folder, review_rows, write_csv
from tests.scripts import run_script


def read_csv(path) -> list[dict]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
@pytest.mark.usefixtures("painted")
def test_train_evaluate_export_predict(tmp_path, preset):
    rows = [(str(i), *row) for i, row in enumerate(review_rows(240))]
    train = write_csv(tmp_path / "train.csv", rows[:200], "id,text,label")
    test = write_csv(tmp_path / "test.csv", rows[200:], "id,text,label")
    run, models = str(tmp_path / "run"), str(tmp_path / "models")
    flagfile = tmp_path / "flags.txt"
    flagfile.write_text(
        f"--preset={preset}\n--max_seq_length=16\n--learning_rate=5e-3\n"
        "--num_train_epochs=4\n--train_batch_size=8\n"
    )
    done = run_script(
        "train", f"--train_file={train}", f"--test_file={test}",
        f"--output_dir={run}", f"--flagfile={flagfile}",
    )  # fmt: skip
    for words in (
        "text from 'text', label from 'label', id from 'id'",
        "train: 180 rows",
        "epoch 4/4",
        "s left",
        "always the largest class",
        "Sample predictions",
        "python -m pipelines.export",
    ):
        assert words in done.stderr
    with open(f"{run}/metrics_test.json") as file:
        metrics = json.load(file)

    done = run_script("export", f"--run_dir={run}", "--name=m",
                      f"--models_dir={models}")  # fmt: skip
    model = f"{models}/m/1"
    assert f"Exported {model}" in done.stderr

    evaluated = {}
    for name, source in (("run", run), ("saved_model", model)):
        folder = str(tmp_path / f"evaluated_{name}")
        done = run_script("evaluate", f"--model={source}",
                          f"--eval_file={test}",
                          f"--output_dir={folder}")  # fmt: skip
        assert f"{metrics['eval_accuracy']:.4f}" in done.stdout
        evaluated[name] = read_csv(f"{folder}/predictions.csv")

    output = str(tmp_path / "predictions.csv")
    run_script("predict", f"--model={models}/m", f"--input_file={test}",
               f"--output_file={output}")  # fmt: skip
    predicted = read_csv(output)
    assert list(predicted[0]) == [
        "id", "text", "label", "score", "probability_neg", "probability_pos",
    ]  # fmt: skip
    for other in evaluated.values():
        assert len(other) == len(predicted) == 40
        for one, two in zip(predicted, other, strict=True):
            for key in ("id", "text", "label"):
                assert one[key] == two[key]
            np.testing.assert_allclose(
                float(one["score"]), float(two["score"]), atol=1e-5
            )

    texts = [row["text"] for row in predicted[:3]]
    done = run_script("predict", f"--model={model}", *texts)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == [
        row["label"] for row in predicted[:3]
    ]
    done = run_script("predict", f"--model={model}", "--input_file=-",
                      stdin="\n".join(texts) + "\n")  # fmt: skip
    streamed = list(csv.DictReader(done.stdout.splitlines()))
    assert [row["label"] for row in streamed] == [
        row["label"] for row in predicted[:3]
    ]


def test_check_data(tmp_path, preset):
    train = write_csv(tmp_path / "train.csv", review_rows(20))
    with open(train, "a") as file:
        file.write('a film,\n" ",pos\n')
    done = run_script("check_data", f"--train_file={train}",
                      f"--preset={preset}", "--json",
                      f"--write_clean={tmp_path / 'clean.csv'}")  # fmt: skip
    report = json.loads(done.stdout)
    assert report["parts"]["train"]["classes"] == {"neg": 10, "pos": 10}
    with open(tmp_path / "clean.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    assert list(rows[0]) == ["text", "label"]
    with open(tmp_path / "clean.left_out.csv") as file:
        left_out = list(csv.DictReader(file))
    assert [(row["line"], row["reason"]) for row in left_out] == [
        ("22", "no label"), ("23", "an empty text"),
    ]  # fmt: skip


@pytest.mark.slow
def test_tokenize_shows_what_is_cut(preset):
    def shown(*arguments):
        done = run_script("tokenize", f"--preset={preset}", *arguments)
        return done.stdout.splitlines()

    lines = shown("--max_seq_length=5", "the film was good", "good")
    assert [line.split()[1] for line in lines[1:6]] == [
        "[CLS]", "the", "film", "was", "[SEP]",
    ]  # fmt: skip
    assert lines[6] == "5 tokens; at most 5 (--max_seq_length)"
    assert lines[7] == "cut off (1): good"
    assert lines[-1] == "3 tokens; at most 5 (--max_seq_length)"
    lines = shown("--max_seq_length=7", "--pair", "a bad film", "a good plot !")
    assert lines[-2:] == [
        "cut off of the first text (1): film",
        "cut off of the second text (2): plot !",
    ]
    assert "at most 128" in shown("good")[-1]
    done = run_script("tokenize", "--max_seq_length=2", "good", status=1)
    assert "--max_seq_length=2 must be at least 3" in done.stderr


def test_exit_status_and_message(tmp_path):
    done = run_script("train", "--train_file=nowhere.csv",
                      f"--output_dir={tmp_path / 'run'}", status=1)  # fmt: skip
    message = done.stderr.strip().splitlines()[-1]
    assert message.startswith("error: nowhere.csv: no such file")
    assert "Traceback" not in done.stderr
    assert not os.path.exists(tmp_path / "run")
    run_script("train", "--no_such_flag=1", status=1)
    run_script("predict", "--model=nowhere", "text", status=1)


@pytest.mark.slow
def test_the_real_checkpoint(tmp_path):
    """In one process: .ci/run has the demo's steps, one process each."""
    minilm_folder()
    run = str(tmp_path / "run")
    train(
        TrainConfig(
            train_file=(write_csv(tmp_path / "train.csv", review_rows(240)),),
            output_dir=run,
            num_train_epochs=1,
            max_seq_length=16,
            train_batch_size=8,
            learning_rate=1e-4,
        )
    )
    model = export(run, name="m", models_dir=str(tmp_path / "models"))
    texts = ["the film was wonderful", "what a terrible story"]
    # Neither adjective was in the reviews: the checkpoint knows them.
    answers = [
        cells[0]
        for cells, _ in SavedModelPredictor(model).predict_rows((texts,))
    ]
    assert answers == ["pos", "neg"]
