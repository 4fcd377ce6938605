"""Regression and multi-label: what is wrong with files and settings."""

import pytest

from bert_tf.config import TrainConfig
from bert_tf.errors import InputError
from bert_tf.training.train import train
from tests.tasks.files import write_rows


def settings(folder, preset, **changes):
    return TrainConfig(
        **{
            "output_dir": str(folder / "run"),
            "preset": preset,
            "max_seq_length": 20,
            **changes,
        }
    )


def test_faults_are_told(tmp_path, preset):
    file = write_rows(
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
