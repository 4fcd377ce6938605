"""Every fault in data or flags: one message, no run, before any model."""

import os
import socket

import pytest
from huggingface_hub import constants as hub_constants

from bert_tf.errors import InputError
from bert_tf.training.train import train_files as train
from tests.conftest import review_rows, write_csv

ROWS = "".join(f"{text},{label}\n" for text, label in review_rows(40))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("text,lable\n" + ROWS, "usual names for the label"),
        ("", "is empty"),
        ("text,label\n", "a header and no rows"),
        ("text;label\na;b\nc\n", "separated by semicolons"),
        ("text,label\n" + ROWS + ",pos\n", "empty text .*lines 42"),
        ("text,label\n" + ROWS + "a,\n", "no label .*lines 42"),
        ("text,label\na,x\nb,x\nc,x\n", "at least two classes"),
        ("text,label\na,x\nb,y\nc,z\n", "a label of its own"),
        ("text,label\na,x\nb\n", "line 3: 1 fields"),
    ],
)
def test_training_file(tiny_config, tmp_path, content, words):
    path = tmp_path / "faulty.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=words) as error:
        train(tiny_config(train_file=(str(path),)))
    assert "faulty.csv" in str(error.value) or "training rows" in str(
        error.value
    )
    assert not os.path.exists(tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train_file": ("nowhere.csv",)}, "nowhere.csv: no such file"),
        ({"label_column": "lable"}, "Did you mean --label_column=label"),
        ({"max_seq_length": 33}, "beyond the 32 positions"),
        ({"preset": "bert_bse"}, "neither a folder nor a known preset"),
        ({"drop_label_issues": 0.1}, "need each other"),
        ({"label_issues_file": "a.csv"}, "need each other"),
        ({"label_issues_file": "a.csv", "drop_label_issues": 2.0},
         "--drop_label_issues=2.0 must be a share"),
        ({"label_issues_file": "a.csv", "drop_label_issues": 0.1,
          "task": "regression"}, "is for --task=classification"),
        ({"train_batch_size": 7, "distribution_strategy": "mirrored"},
         "--train_batch_size=7 .* divisible by 2"),
        ({"eval_batch_size": 5, "distribution_strategy": "mirrored"},
         "--eval_batch_size=5 .* divisible by 2"),
    ],
)  # fmt: skip
def test_settings(tiny_config, tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        train(tiny_config(**changes))
    assert not os.path.exists(tmp_path / "run")


@pytest.mark.parametrize(
    "changes",
    [
        {"train_batch_size": 0},
        {"dropout": 1.0},
        {"learning_rate": -1.0},
        {"max_seq_length": 2},
        {"validation_split": 0.0},
        {"class_weight": "auto"},
        {"mixed_precision": "int8"},
        {"metric_for_best_model": "eval_f1"},
        {"resume": "maybe"},
        {"jit_compile": "always"},
        {"accumulate_steps": 0},
        {"steps_per_execution": 0},
        {"log_steps": 0},
        {"max_truncated_share": 1.5},
        {"checkpoint_seconds": -1.0},
        {"seed": -1},
        {"seed": 2**32},
        {"train_file": ()},
    ],
    ids=str,
)
def test_values_that_no_data_could_make_right(tiny_config, changes):
    with pytest.raises(InputError, match="--"):
        tiny_config(**changes)


def test_label_that_training_lacks(tiny_config, tmp_path):
    path = write_csv(tmp_path / "test.csv", [("a", "pos"), ("b", "neutral")])
    with pytest.raises(InputError, match='test.csv has the label "neutral"'):
        train(tiny_config(test_file=(path,)))


def test_preset_that_needs_a_network(tiny_config, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no network in tests")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(hub_constants, "HF_HUB_OFFLINE", False)
    for preset in ("hf://nobody/no-such-bert", "bert_tiny_en_uncased"):
        with pytest.raises(InputError, match="cannot be reached"):
            train(tiny_config(preset=preset))
