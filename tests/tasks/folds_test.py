"""Every task by folds."""

import dataclasses
import json

import pandas as pd
import pytest

from bert_tf import runs
from bert_tf.config.training import TrainConfig
from bert_tf.data.folds import read_folds
from bert_tf.training import folds


@pytest.mark.slow
def test_every_task(task_run, tmp_path):
    """Slow, for it trains each task three times more."""
    config = dataclasses.replace(
        TrainConfig.read(task_run.run),
        train_file=(task_run.file,),
        validation_file=(),
        test_file=(task_run.file,),
        max_train_samples=60,
        num_train_epochs=1,
        output_dir=str(tmp_path / "folds"),
    )
    data = read_folds(config, 2)
    summary = folds.train_folds(config, data)
    found = pd.read_csv(f"{config.output_dir}/oof_predictions.csv")
    assert list(found["text"]) == list(data.rows["text"]) and len(found) == 60
    loss = summary["held_out"]["eval_loss"]["values"]
    with open(f"{config.output_dir}/metrics.json") as file:
        metrics = json.load(file)
    assert min(loss) <= metrics["eval_loss"] <= max(loss)
    model = runs.load(folds.train_all_rows(config, data))
    assert model.metrics["refit_samples"] == 60
