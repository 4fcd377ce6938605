"""Trains with several seeds and reports the variance."""

import dataclasses
import os

from bert_tf import run_dir
from bert_tf.config.training import TrainConfig
from bert_tf.data.splits import read_splits
from bert_tf.training import repeated

SUMMARY = "seeds.json"


def train_seeds(config: TrainConfig, num_seeds: int) -> dict:
    """Trains with `config.seed` and the seeds after it, one after the other.

    Each run has a folder `seed_N` below config.output_dir; those that are
    finished are not trained again, unless they are to be overwritten.

    Args:
        config: every setting; of the seed it is the first one.
        num_seeds: how many trainings, at least 2.

    Returns:
        What seeds.json holds: of each split, each metric's mean, standard
        deviation and values.

    Raises:
        InputError: see `repeated.train`.
    """
    repeated.check(config, "--num_seeds")
    configs = [
        dataclasses.replace(
            config,
            seed=seed,
            output_dir=os.path.join(config.output_dir, f"seed_{seed}"),
        )
        for seed in range(config.seed, config.seed + num_seeds)
    ]
    for number, one in enumerate(configs, 1):
        repeated.train(
            one,
            lambda one=one: read_splits(one),
            title=f"Seed {one.seed}, {number} of {num_seeds}",
        )
    folders = [one.output_dir for one in configs]
    parts = {
        "validation": repeated.summarize(folders, run_dir.METRICS),
        "test": repeated.summarize(folders, run_dir.TEST_METRICS),
    }
    summary = {
        "schema_version": 1,
        "seeds": [one.seed for one in configs],
        "runs": folders,
        "parts": {name: one for name, one in parts.items() if one},
    }
    run_dir.write_json(os.path.join(config.output_dir, SUMMARY), summary)
    return summary


def describe(summary: dict) -> str:
    """Returns the summary as a table for a terminal."""
    count = len(summary["seeds"])
    tables = [
        repeated.describe(metrics, f"{name.capitalize()} split, {count} seeds")
        for name, metrics in summary["parts"].items()
    ]
    return "\n".join(tables)
