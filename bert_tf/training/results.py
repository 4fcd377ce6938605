"""What a finished training leaves in its run folder."""

import importlib.metadata
import os
import platform

import numpy as np
import pandas as pd
from absl import logging

from bert_tf import run_dir
from bert_tf.data import examples
from bert_tf.data.tfrecords import TokenizedRecords
from bert_tf.evaluation import (
    baseline,
    figures,
    findings,
    model_card,
    page,
    plain_report,
    plots,
    report,
    summary,
)
from bert_tf.evaluation.findings import Findings
from bert_tf.metrics import calibration
from bert_tf.tasks import known
from bert_tf.training import alarms
from bert_tf.training.alarms import Alarm
from bert_tf.training.fit import Fit

_PACKAGES = (
    "bert_tf", "tensorflow", "tensorflow-text", "keras", "keras-nlp",
    "keras-hub", "numpy", "pandas", "scikit-learn",
)  # fmt: skip
# Texts asked for the marks in report.html: a few percent of a training, which
# asks each text several times as much, and at most some seconds.
_FEWEST_PASSES, _MOST_PASSES = 64, 600
_TRAINED_PER_PASS = 10


def calibrate(fit: Fit) -> dict:
    """Fits the temperature to the validation part and applies it.

    Returns:
        What calibration.json holds: the temperature, and loss and expected
        calibration error of the validation part before it.
    """
    probabilities, metrics = fit.evaluate("validation")
    labels = fit.task.targets(
        fit.parts["validation"], fit.encoded["validation"]
    )
    temperature = calibration.fit_temperature(labels, probabilities)
    fit.apply_temperature(temperature)
    values = {
        "schema_version": 1,
        "temperature": temperature,
        "fitted_on": "validation",
        "loss_before": metrics["eval_loss"],
        "expected_calibration_error_before": metrics[
            "eval_expected_calibration_error"
        ],
    }
    if fit.is_chief:
        path = os.path.join(fit.config.output_dir, run_dir.CALIBRATION)
        run_dir.write_json(path, values)
    logging.info(
        "Calibrated on the validation part: temperature %.3f.", temperature
    )
    return values


def tune(fit: Fit) -> None:
    """Fits the task's parameters to the validation part, and writes them."""
    if fit.task.has_parameters:
        name = "validation"
        fit.task = fit.task.tuned(
            fit.parts[name], fit.encoded[name], fit.evaluate(name)[0]
        )
    if fit.is_chief:
        known.write_task(fit.config.output_dir, fit.task, name_it=False)


def evaluate_best(
    fit: Fit, outcome: dict, data_report: dict, calibrated: dict | None
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
                "task": fit.task.name,
                **metrics,
                **outcome["train"],
                "truncation": truncation,
                "best": outcome["best"],
                **({"calibration": calibrated} if calibrated else {}),
                "seed": fit.config.seed,
                "strategy": type(fit.strategy).__name__,
                "replicas": fit.strategy.num_replicas_in_sync,
                "mixed_precision": fit.config.mixed_precision,
                "versions": versions(),
            },
        )
    return results


def find_texts(
    fit: Fit, results: dict, tokens: tuple[str, ...]
) -> Findings | None:
    """Finds the texts to look at; every worker has to, as it predicts."""
    if not fit.task.has_single_label:
        return None
    name = next(iter(results))
    probabilities, metrics = results[name]
    encoded = {
        part: texts
        for part, texts in fit.encoded.items()
        if not isinstance(texts, TokenizedRecords)
    }
    return findings.gather(
        name,
        probabilities,
        metrics["labels"],
        parts={part: fit.parts[part] for part in encoded},
        encoded=encoded,
        predict=fit.predict,
        tokens=tokens,
        most_passes=min(
            _MOST_PASSES,
            max(
                _FEWEST_PASSES,
                fit.rows * fit.config.num_train_epochs // _TRAINED_PER_PASS,
            ),
        ),
    )


def write_results(
    fit: Fit,
    results: dict,
    found: Findings | None,
    data_alarms: list[Alarm],
) -> dict:
    """Writes tables, plots, report.html, README.md and metrics.json.

    Returns:
        What metrics.json holds.
    """
    folder = fit.config.output_dir
    all_alarms = list(data_alarms)
    if fit.task.has_single_label:
        trained = _train_baseline(fit)
        all_alarms += alarms.run_alarms(
            folder, fit.labels, fit.config.class_weight
        )
    completed, drawn, cells = {}, {}, {}
    for name, (predicted, metrics) in results.items():
        suffix = "_test" if name == "test" else ""
        cells[name] = report.write_predictions(
            folder,
            task=fit.task,
            examples=fit.parts[name],
            encoded=fit.encoded[name],
            predicted=predicted,
            suffix=suffix,
        )
        if fit.task.has_single_label:
            metrics = summary.complete_metrics(
                metrics, fit.parts[name], predicted, trained
            )
        else:
            metrics = summary.with_intervals(
                fit.task, metrics, fit.parts[name], fit.encoded[name], predicted
            )
        metrics = {
            **metrics,
            "alarms": [alarm.to_json() for alarm in all_alarms],
        }
        completed[name] = metrics
        if fit.task.has_single_label:
            drawn[name] = report.write_evaluation(
                folder,
                examples=fit.parts[name],
                probabilities=predicted,
                metrics=metrics,
                token_counts=fit.encoded[name].token_counts,
                max_seq_length=fit.config.max_seq_length,
                suffix=suffix,
            )
        logging.info(
            "%s\n%s",
            report.metrics_table(
                fit.task, metrics, f"{name.capitalize()} part"
            ),
            report.sample_predictions(fit.task, fit.parts[name], cells[name]),
        )
    curves = plots.learning_curves(
        pd.read_csv(os.path.join(folder, run_dir.HISTORY)),
        fit.config.metric_for_best_model,
    )
    figures.write_png(curves, os.path.join(folder, "learning_curves.png"))
    if fit.task.has_single_label:
        _write_pages(fit, results, completed, curves, drawn, found)
    else:
        main, *others = completed
        plain_report.write_page(
            folder,
            task=fit.task,
            part=f"the {main} part",
            metrics=completed[main],
            examples=fit.parts[main],
            cells=cells[main],
            curves=curves,
            run_path=folder,
            model_path=model_card.read_config(folder).output_dir,
            other_parts={f"{name} part": completed[name] for name in others},
        )
        plain_report.write_card(folder, completed[main], fit.task, part=main)
    if "test" in completed:
        path = os.path.join(folder, run_dir.TEST_METRICS)
        run_dir.write_json(path, completed["test"])
    path = os.path.join(folder, run_dir.METRICS)
    run_dir.write_json(path, completed["validation"])
    return completed["validation"]


def _write_pages(fit: Fit, results, completed, curves, drawn, found) -> None:
    """Writes report.html and the model card of a classification."""
    folder = fit.config.output_dir
    main, *others = completed
    page.write_page(
        folder,
        part=f"the {main} part",
        metrics=completed[main],
        drawn={"learning_curves": curves, **drawn[main]},
        findings=found,
        scores=report.positive_scores(
            fit.parts[main], results[main][0], completed[main]
        ),
        run_path=folder,
        model_path=model_card.read_config(folder).output_dir,
        other_parts={f"{name} part": completed[name] for name in others},
    )
    model_card.write_card(folder, completed[main], part=main)


def _train_baseline(fit: Fit) -> baseline.Baseline | None:
    if isinstance(fit.encoded["train"], TokenizedRecords):
        return None
    trained = baseline.train(
        examples.segments(fit.parts["train"]),
        fit.labels,
        num_classes=fit.task.num_outputs,
        seed=fit.config.seed,
    )
    if trained is not None:
        trained.write(os.path.join(fit.config.output_dir, run_dir.BASELINE))
    return trained


def versions() -> dict[str, str]:
    """Returns the versions of Python and the packages that matter."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
