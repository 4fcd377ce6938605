"""Trains with several seeds and reports the variance."""

import dataclasses
import os

import keras
import numpy as np
from absl import logging

from bert_tf import run_dir
from bert_tf.config.training import TrainConfig
from bert_tf.errors import InputError
from bert_tf.training import strategy as strategy_lib
from bert_tf.training import train as train_lib

SUMMARY = "seeds.json"
_METRICS = (
    "eval_accuracy", "eval_f1", "eval_f1_macro", "eval_f1_weighted",
    "eval_matthews_correlation", "eval_roc_auc", "eval_loss",
    "eval_expected_calibration_error",
)  # fmt: skip


def train_seeds(config: TrainConfig, num_seeds: int) -> dict:
    """Trains with `config.seed` and the seeds after it, one after the other.

    Each run has a folder `seed_N` below config.output_dir; those that are
    finished are not trained again, unless they are to be overwritten.

    Args:
        config: every setting; of the seed it is the first one.
        num_seeds: how many trainings, at least 2.

    Returns:
        What seeds.json holds: of each split, each metric's mean, standard
        deviation (of a sample: divided by N - 1) and values.

    Raises:
        InputError: see `train`; or a finished run has other settings.
    """
    run_dir.check_is_local(config.output_dir)
    if (
        strategy_lib.count_workers() > 1
        or config.distribution_strategy == "multi_worker"
    ):
        raise InputError(
            "--num_seeds trains in one process: start the workers for each "
            "--seed apart"
        )
    configs = [
        dataclasses.replace(
            config,
            seed=seed,
            output_dir=os.path.join(config.output_dir, f"seed_{seed}"),
        )
        for seed in range(config.seed, config.seed + num_seeds)
    ]
    splits: dict[str, list[dict]] = {}
    for number, one in enumerate(configs, 1):
        if _is_finished(one):
            logging.info("%s is finished already.", one.output_dir)
        else:
            logging.info("Seed %d, %d of %d", one.seed, number, num_seeds)
            train_lib.train_files(one)
            # Keras keeps every model's graph until told otherwise.
            keras.backend.clear_session()
        for split, file in (
            ("validation", run_dir.METRICS),
            ("test", run_dir.TEST_METRICS),
        ):
            path = os.path.join(one.output_dir, file)
            if os.path.exists(path):
                splits.setdefault(split, []).append(run_dir.read_json(path))
    summary = {
        "schema_version": 1,
        "seeds": [one.seed for one in configs],
        "runs": [one.output_dir for one in configs],
        "parts": {split: _summarize(runs) for split, runs in splits.items()},
    }
    run_dir.write_json(os.path.join(config.output_dir, SUMMARY), summary)
    return summary


def _is_finished(config: TrainConfig) -> bool:
    """Whether this very training is there; InputError where another is."""
    folder = config.output_dir
    if config.overwrite_output_dir or not os.path.exists(
        os.path.join(folder, run_dir.METRICS)
    ):
        return False
    saved = TrainConfig.read(folder).result_settings()
    given = config.result_settings()
    # What was None or auto has been decided since.
    other = [
        name
        for name, value in given.items()
        if value not in (None, "auto", [], saved[name])
    ]
    if other:
        raise InputError(
            f"{folder} holds a finished run with another "
            f"{', '.join(f'--{name}' for name in other)}; name another "
            "--output_dir, or pass --overwrite_output_dir"
        )
    return True


def _summarize(runs: list[dict]) -> dict:
    summary = {}
    for name in _metric_names(runs[0]):
        values = [metrics[name] for metrics in runs]
        defined = [value for value in values if value is not None]
        summary[name] = {
            "mean": float(np.mean(defined)) if defined else None,
            "standard_deviation": float(np.std(defined, ddof=1))
            if len(defined) > 1
            else None,
            "values": values,
        }
    return summary


def _metric_names(metrics: dict) -> list[str]:
    """Returns the metrics of a classification, or all of another task."""
    if all(name in metrics for name in _METRICS):
        return list(_METRICS)
    return [
        name
        for name, value in metrics.items()
        if name.startswith("eval_")
        and not name.endswith(("_runtime", "_samples", "_per_second"))
        and (value is None or isinstance(value, float))
    ]


def describe(summary: dict) -> str:
    """Returns the summary as a table for a terminal."""
    lines = []
    for split, metrics in summary["parts"].items():
        lines.append(
            f"{split.capitalize()} split, {len(summary['seeds'])} seeds"
            f"{'mean':>22}{'std. dev.':>12}{'lowest':>10}{'highest':>10}"
        )
        width = len(lines[-1]) - 54
        for name, values in metrics.items():
            defined = [v for v in values["values"] if v is not None]
            if len(defined) < 2:
                continue
            lines.append(
                f"  {name.removeprefix('eval_'):<{width + 20}}"
                f"{values['mean']:>10.4f}"
                f"{values['standard_deviation']:>12.4f}"
                f"{min(defined):>10.4f}{max(defined):>10.4f}"
            )
    folder = os.path.dirname(summary["runs"][0])
    lines.append(
        f"The runs are in {folder}. Next: open their report.html, and\n"
        f"  python -m pipelines.export --run_dir={summary['runs'][0]} "
        "--name=NAME"
    )
    return "\n".join(lines)
