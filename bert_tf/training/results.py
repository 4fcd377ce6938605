"""What a finished training leaves in its run folder."""

import importlib.metadata
import os
import platform

import numpy as np
import pandas as pd
from absl import logging

from bert_tf import run_dir
from bert_tf.evaluation import plots, report
from bert_tf.training.fit import Fit

_PACKAGES = (
    "bert_tf", "tensorflow", "tensorflow-text", "keras", "keras-nlp",
    "keras-hub", "numpy", "pandas", "scikit-learn",
)  # fmt: skip


def evaluate_best(
    fit: Fit, outcome: dict, data_report: dict
) -> dict[str, tuple[np.ndarray, dict]]:
    """Evaluates the best weights: probabilities and metrics of each part."""
    truncation = {
        key: data_report[key]
        for key in ("max_seq_length", "truncated", "truncated_share")
    }
    results = {}
    # The validation metrics come last: metrics.json marks a finished run.
    for name in ("test", "validation"):
        if name not in fit.parts:
            continue
        probabilities, metrics = fit.evaluate(name)
        results[name] = (
            probabilities,
            {
                "schema_version": 1,
                **metrics,
                **outcome["train"],
                "truncation": truncation,
                "best": outcome["best"],
                "seed": fit.config.seed,
                "strategy": type(fit.strategy).__name__,
                "replicas": fit.strategy.num_replicas_in_sync,
                "mixed_precision": fit.config.mixed_precision,
                "versions": versions(),
            },
        )
    return results


def write_results(fit: Fit, results: dict) -> None:
    """Writes tables, plots and metrics.json to the run folder."""
    folder = fit.config.output_dir
    history = pd.read_csv(os.path.join(folder, run_dir.HISTORY))
    plots.write_learning_curves(
        os.path.join(folder, "learning_curves.png"),
        history,
        fit.config.metric_for_best_model,
    )
    for name, (probabilities, metrics) in results.items():
        report.write_evaluation(
            folder,
            examples=fit.parts[name],
            probabilities=probabilities,
            metrics=metrics,
            suffix="_test" if name == "test" else "",
        )
        logging.info(
            "%s\n%s",
            report.metrics_table(metrics, f"{name.capitalize()} part"),
            report.sample_predictions(
                fit.parts[name], probabilities, metrics["labels"]
            ),
        )


def versions() -> dict[str, str]:
    """Returns the versions of Python and the packages that matter."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
