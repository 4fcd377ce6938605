import json

import numpy as np
import pytest

from bert_tf.errors import InputError
from bert_tf.training import multi_seed, repeated
from tests.conftest import review_rows, write_csv


def test_mean_and_standard_deviation(tiny_config, tmp_path, monkeypatch):
    test = write_csv(tmp_path / "test.csv", review_rows(40))
    config = tiny_config(test_file=(test,), num_train_epochs=1, seed=5)
    summary = multi_seed.train_seeds(config, 2)
    assert summary["seeds"] == [5, 6]
    values = []
    for seed in (5, 6):
        path = tmp_path / "run" / f"seed_{seed}"
        assert (path / "report.html").exists()
        with open(path / "metrics_test.json") as file:
            values.append(json.load(file)["eval_loss"])
    assert values[0] != values[1]
    found = summary["parts"]["test"]["eval_loss"]
    assert found["values"] == values
    assert found["mean"] == pytest.approx(np.mean(values))
    assert found["standard_deviation"] == pytest.approx(np.std(values, ddof=1))
    with open(tmp_path / "run" / "seeds.json") as file:
        assert json.load(file) == summary
    table = multi_seed.describe(summary)
    assert "Test split, 2 seeds" in table and f"{np.mean(values):.4f}" in table

    # Finished runs are not trained again.
    monkeypatch.setattr(repeated.train_lib, "train", None)
    assert multi_seed.train_seeds(config, 2) == summary
    with pytest.raises(InputError, match="another --learning_rate"):
        multi_seed.train_seeds(
            tiny_config(
                test_file=(test,), num_train_epochs=1, seed=5,
                learning_rate=1e-6,
            ),
            2,
        )  # fmt: skip


def test_several_workers_are_refused(tiny_config):
    with pytest.raises(InputError, match="--num_seeds trains in one process"):
        multi_seed.train_seeds(
            tiny_config(distribution_strategy="multi_worker"), 2
        )
