"""Evaluates a finished training and writes its results."""

import importlib.metadata
import os
import platform

import numpy as np
import pandas as pd
from absl import logging

from bert_tf import run_dir
from bert_tf.config.training import TrainConfig
from bert_tf.data import examples
from bert_tf.data.tfrecords import TokenizedRecords
from bert_tf.evaluation import (
    artifacts,
    baseline,
    error_analysis,
    metric_intervals,
)
from bert_tf.evaluation.error_analysis import Findings
from bert_tf.evaluation.plots import figures, plots
from bert_tf.evaluation.report import html_report, model_card
from bert_tf.metrics import calibration
from bert_tf.tasks import registry
from bert_tf.training import training_warnings
from bert_tf.training.trainer import Trainer
from bert_tf.training.training_warnings import TrainingWarning

_PACKAGES = (
    "bert_tf", "tensorflow", "tensorflow-text", "keras", "keras-nlp",
    "keras-hub", "numpy", "pandas", "scikit-learn",
)  # fmt: skip
# Texts asked for the marks in report.html: a few percent of a training, which
# asks each text several times as much, and at most some seconds.
_FEWEST_PASSES, _MOST_PASSES = 64, 600
_TRAINED_PER_PASS = 10


def calibrate(trainer: Trainer) -> dict:
    """Fits the temperature to the validation split and applies it.

    Returns:
        What calibration.json holds: the temperature, and loss and expected
        calibration error of the validation split before it.
    """
    probabilities, metrics = trainer.evaluate("validation")
    labels = trainer.task.targets(
        trainer.splits["validation"], trainer.encoded["validation"]
    )
    temperature = calibration.fit_temperature(labels, probabilities)
    trainer.apply_temperature(temperature)
    values = {
        "schema_version": 1,
        "temperature": temperature,
        "fitted_on": "validation",
        "loss_before": metrics["eval_loss"],
        "expected_calibration_error_before": metrics[
            "eval_expected_calibration_error"
        ],
    }
    if trainer.is_chief:
        path = os.path.join(trainer.config.output_dir, run_dir.CALIBRATION)
        run_dir.write_json(path, values)
    logging.info(
        "Calibrated on the validation split: temperature %.3f.", temperature
    )
    return values


def tune(trainer: Trainer) -> None:
    """Fits the task's parameters to the validation split, and writes them."""
    if trainer.task.has_thresholds:
        name = "validation"
        trainer.task = trainer.task.fit_thresholds(
            trainer.splits[name],
            trainer.encoded[name],
            trainer.evaluate(name)[0],
        )
    if trainer.is_chief:
        registry.write_task(
            trainer.config.output_dir, trainer.task, name_it=False
        )


def evaluate_best(
    trainer: Trainer, outcome: dict, data_report: dict, calibrated: dict | None
) -> dict[str, tuple[np.ndarray, dict]]:
    """Evaluates the best weights: probabilities and metrics of each split."""
    truncation = {
        key: data_report[key]
        for key in ("max_seq_length", "truncated", "truncated_share")
    }
    results = {}
    # The validation metrics come last: metrics.json marks a finished run.
    for name in ("test", "validation"):
        if name not in trainer.splits:
            continue
        probabilities, metrics = trainer.evaluate(name)
        results[name] = (
            probabilities,
            {
                "schema_version": 1,
                "task": trainer.task.name,
                **metrics,
                **outcome["train"],
                "truncation": truncation,
                "best": outcome["best"],
                **({"calibration": calibrated} if calibrated else {}),
                "seed": trainer.config.seed,
                "strategy": type(trainer.strategy).__name__,
                "replicas": trainer.strategy.num_replicas_in_sync,
                "mixed_precision": trainer.config.mixed_precision,
                "versions": versions(),
            },
        )
    return results


def find_texts(
    trainer: Trainer, results: dict, tokens: tuple[str, ...]
) -> Findings | None:
    """Finds the texts to look at; every worker has to, as it predicts."""
    if not trainer.task.is_multiclass:
        return None
    name = next(iter(results))
    probabilities, metrics = results[name]
    encoded = {
        split: texts
        for split, texts in trainer.encoded.items()
        if not isinstance(texts, TokenizedRecords)
    }
    return error_analysis.gather(
        name,
        probabilities,
        metrics["labels"],
        splits={split: trainer.splits[split] for split in encoded},
        encoded=encoded,
        predict=trainer.predict,
        tokens=tokens,
        most_passes=min(
            _MOST_PASSES,
            max(
                _FEWEST_PASSES,
                trainer.rows
                * trainer.config.num_train_epochs
                // _TRAINED_PER_PASS,
            ),
        ),
    )


def write_results(
    trainer: Trainer,
    results: dict,
    findings: Findings | None,
    data_warnings: list[TrainingWarning],
) -> dict:
    """Writes tables, plots, report.html, README.md and metrics.json.

    Returns:
        What metrics.json holds.
    """
    folder = trainer.config.output_dir
    all_warnings = list(data_warnings)
    if trainer.task.is_multiclass:
        trained = _train_baseline(trainer)
        all_warnings += training_warnings.run_warnings(
            folder, trainer.labels, trainer.config.class_weight
        )
    completed, drawn, answer_rows = {}, {}, {}
    for name, (predictions, metrics) in results.items():
        suffix = "_test" if name == "test" else ""
        answer_rows[name] = artifacts.write_predictions(
            folder,
            task=trainer.task,
            examples=trainer.splits[name],
            encoded=trainer.encoded[name],
            predictions=predictions,
            suffix=suffix,
        )
        if trainer.task.is_multiclass:
            metrics = metric_intervals.complete_metrics(
                metrics, trainer.splits[name], predictions, trained
            )
        else:
            metrics = metric_intervals.with_intervals(
                trainer.task,
                metrics,
                trainer.splits[name],
                trainer.encoded[name],
                predictions,
            )
        metrics = {
            **metrics,
            "alarms": [warning.to_json() for warning in all_warnings],
        }
        completed[name] = metrics
        if trainer.task.is_multiclass:
            drawn[name] = artifacts.write_evaluation(
                folder,
                examples=trainer.splits[name],
                probabilities=predictions,
                metrics=metrics,
                token_counts=trainer.encoded[name].token_counts,
                max_seq_length=trainer.config.max_seq_length,
                suffix=suffix,
            )
        logging.info(
            "%s\n%s",
            artifacts.metrics_table(
                trainer.task, metrics, f"{name.capitalize()} split"
            ),
            artifacts.sample_predictions(
                trainer.task, trainer.splits[name], answer_rows[name]
            ),
        )
    curves = plots.learning_curves(
        pd.read_csv(os.path.join(folder, run_dir.HISTORY)),
        trainer.config.metric_for_best_model,
    )
    figures.write_png(curves, os.path.join(folder, "learning_curves.png"))
    if trainer.task.is_multiclass:
        _write_pages(trainer, results, completed, curves, drawn, findings)
    else:
        main, *others = completed
        html_report.write_plain_page(
            folder,
            task=trainer.task,
            split=f"the {main} split",
            metrics=completed[main],
            examples=trainer.splits[main],
            answer_rows=answer_rows[main],
            curves=curves,
            run_path=folder,
            model_path=TrainConfig.read(folder).output_dir,
            other_splits={f"{name} split": completed[name] for name in others},
        )
        html_report.write_plain_card(
            folder, completed[main], trainer.task, split=main
        )
    if "test" in completed:
        path = os.path.join(folder, run_dir.TEST_METRICS)
        run_dir.write_json(path, completed["test"])
    path = os.path.join(folder, run_dir.METRICS)
    run_dir.write_json(path, completed["validation"])
    return completed["validation"]


def _write_pages(
    trainer: Trainer, results, completed, curves, drawn, findings
) -> None:
    """Writes report.html and the model card of a classification."""
    folder = trainer.config.output_dir
    main, *others = completed
    html_report.write_page(
        folder,
        split=f"the {main} split",
        metrics=completed[main],
        drawn={"learning_curves": curves, **drawn[main]},
        findings=findings,
        scores=artifacts.positive_scores(
            trainer.splits[main], results[main][0], completed[main]
        ),
        run_path=folder,
        model_path=TrainConfig.read(folder).output_dir,
        other_splits={f"{name} split": completed[name] for name in others},
    )
    model_card.write_card(folder, completed[main], split=main)


def _train_baseline(trainer: Trainer) -> baseline.Baseline | None:
    if isinstance(trainer.encoded["train"], TokenizedRecords):
        return None
    trained = baseline.train(
        examples.segments(trainer.splits["train"]),
        trainer.labels,
        num_classes=trainer.task.num_outputs,
        seed=trainer.config.seed,
    )
    if trained is not None:
        trained.write(os.path.join(trainer.config.output_dir, run_dir.BASELINE))
    return trained


def versions() -> dict[str, str]:
    """Returns the versions of Python and the packages that matter."""
    installed = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            installed[package] = "not installed"
    return installed
