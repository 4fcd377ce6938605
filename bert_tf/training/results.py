"""Evaluates a finished training and writes its results."""

import os
from typing import NamedTuple

from absl import logging

from bert_tf import run_dir
from bert_tf.data import examples
from bert_tf.data.tfrecords import TokenizedRecords
from bert_tf.evaluation import artifacts, baseline, error_analysis
from bert_tf.evaluation.error_analysis import Findings
from bert_tf.evaluation.evaluate import Evaluation
from bert_tf.evaluation.report import model_card
from bert_tf.metrics import calibration
from bert_tf.tasks import registry
from bert_tf.tasks.base import Task
from bert_tf.training import linear_start, new_run, refit, training_warnings
from bert_tf.training import strategy as strategy_lib
from bert_tf.training.checkpoints import TrainingState
from bert_tf.training.trainer import Trainer
from bert_tf.training.training_warnings import TrainingWarning

# Texts asked for the marks in report.html: a few percent of a training, which
# asks each text several times as much, and at most some seconds.
_FEWEST_PASSES, _MOST_PASSES = 64, 600
_TRAINED_PER_PASS = 10
# Of fewer, chance decides the temperature; of none it would be 0.
_FEWEST_MISTAKES = 10


def fit_thresholds(trainer: Trainer) -> Task:
    """Returns the task fitted to the validation split, and writes it."""
    task = trainer.task.saved_form()
    if task.has_thresholds:
        predictions, _ = trainer.evaluate("validation", task)
        task = task.fit_thresholds(
            trainer.splits["validation"],
            trainer.encoded["validation"],
            predictions,
        )
    if trainer.is_chief:
        registry.write_task(trainer.output_dir, task, name_it=False)
    return task


def calibrate(trainer: Trainer, wanted: bool | None) -> dict | None:
    """Fits the temperature to the validation split and applies it.

    Args:
        wanted: None leaves it to the number of mistakes.

    Returns:
        What calibration.json holds: the temperature, and loss and expected
        calibration error of the validation split before it. None where the
        scores stay as they are, as nobody asked for another.
    """
    if wanted is False:
        return None
    probabilities, metrics = trainer.evaluate("validation", trainer.task)
    labels = trainer.task.targets(
        trainer.splits["validation"], trainer.encoded["validation"]
    )
    mistakes = int((probabilities.argmax(axis=1) != labels).sum())
    if wanted is None and mistakes < _FEWEST_MISTAKES:
        logging.info(
            "Scores are not calibrated: the validation split has %d mistakes, "
            "and a temperature needs %d to be told.",
            mistakes,
            _FEWEST_MISTAKES,
        )
        return None
    if mistakes < _FEWEST_MISTAKES:
        temperature = 1.0
        logging.warning(
            "--calibrate: the validation split has %d mistakes, and a "
            "temperature needs %d to be told: the scores stay as they are.",
            mistakes,
            _FEWEST_MISTAKES,
        )
    else:
        temperature = calibration.fit_temperature(labels, probabilities)
        trainer.apply_temperature(temperature)
    values = {
        "schema_version": 1,
        "temperature": temperature,
        "fitted_on": "validation",
        "mistakes": mistakes,
        "loss_before": metrics["eval_loss"],
        "expected_calibration_error_before": metrics[
            "eval_expected_calibration_error"
        ],
    }
    if trainer.is_chief:
        path = os.path.join(trainer.output_dir, run_dir.CALIBRATION)
        run_dir.write_json(path, values)
    logging.info(
        "Calibrated on the validation split: temperature %.3f.", temperature
    )
    return values


class Results(NamedTuple):
    """What is known of a trained model.

    Attributes:
        evaluations: by split; the first is that of the page.
        findings: texts of the first to look at.
        refitted: the saved model on the validation split where it has been
            trained on that, too.
    """

    evaluations: dict[str, Evaluation]
    findings: Findings | None
    refitted: Evaluation | None


def evaluate(
    trainer: Trainer,
    task: Task,
    state: TrainingState,
    *,
    model_path: str,
    data_report: dict,
    calibration: dict | None,
    seed: int,
    mixed_precision: str,
    tokens: tuple[str, ...],
    refit_from: refit.Start | None,
) -> Results:
    """Evaluates on validation and the test split, if any; refits in between.

    Every worker has to, as it predicts.

    Args:
        task: with what was fitted.
        state: in which the training ended.
        model_path: the run folder, as the pages name it.
        tokens: the vocabulary.
        refit_from: where the training began; None where it is not repeated.
    """
    name = "dropped_label_issues"
    dropped = {name: data_report[name]} if name in data_report else {}
    facts = {
        **_training_facts(trainer, state),
        "truncation": {
            key: data_report[key]
            for key in ("max_seq_length", "truncated", "truncated_share")
        },
        **dropped,
        "best": {
            "metric": trainer.metric_for_best_model,
            "value": state.best,
            "epoch": state.best_epoch,
        },
        **({"calibration": calibration} if calibration else {}),
        "seed": seed,
        "strategy": type(trainer.strategy).__name__,
        "replicas": trainer.strategy.num_replicas_in_sync,
        "device": strategy_lib.device_name(),
        "mixed_precision": mixed_precision,
        "versions": new_run.versions(),
    }
    is_refit = refit_from is not None
    if is_refit:
        facts["refit_samples"] = sum(
            len(trainer.splits[name]) for name in ("train", "validation")
        )

    def evaluate_split(name: str, suffix: str) -> Evaluation:
        predictions, metrics = trainer.evaluate(name, task)
        return Evaluation(
            title=f"the {name} split",
            model_path=model_path,
            task=task,
            examples=trainer.splits[name],
            encoded=trainer.encoded[name],
            predictions=predictions,
            metrics={
                "schema_version": 1, "task": task.name, **metrics, **facts,
            },
            max_seq_length=data_report["max_seq_length"],
            suffix=suffix,
        )  # fmt: skip

    def refit_model() -> Evaluation:
        temperature = calibration["temperature"] if calibration else 1.0
        refit.refit(
            trainer,
            refit_from,
            epoch=state.best_epoch,
            temperature=temperature,
        )
        return evaluate_split("validation", "_refit")

    # The figures of the validation split are of a model that has not seen it,
    # those of the test split and the texts to look at of the model they show.
    evaluations = {"validation": evaluate_split("validation", "")}
    has_test, refitted = "test" in trainer.splits, None
    if is_refit and has_test:
        refitted = refit_model()
    if has_test:
        evaluations = {"test": evaluate_split("test", "_test"), **evaluations}
    findings = _find_texts(trainer, evaluations, tokens)
    if is_refit and not has_test:
        refitted = refit_model()
    return Results(evaluations, findings, refitted)


def _training_facts(trainer: Trainer, state: TrainingState) -> dict:
    samples = len(trainer.splits["train"])
    return {
        "train_loss": state.history[-1]["loss"],
        "train_samples": samples,
        "train_steps": trainer.steps_of(state.epoch),
        "train_epochs": state.epoch,
        "train_runtime": state.seconds,
        "train_samples_per_second": samples * state.epoch / state.seconds,
    }


def _find_texts(
    trainer: Trainer,
    evaluations: dict[str, Evaluation],
    tokens: tuple[str, ...],
) -> Findings | None:
    """Finds the texts to look at."""
    passes = trainer.rows * trainer.num_train_epochs // _TRAINED_PER_PASS
    return error_analysis.gather(
        next(iter(evaluations.values())),
        {
            name: (trainer.splits[name], encoded)
            for name, encoded in trainer.encoded.items()
            if not isinstance(encoded, TokenizedRecords)
        },
        predict=trainer.predict,
        tokens=tokens,
        most_passes=min(_MOST_PASSES, max(_FEWEST_PASSES, passes)),
    )


def write_results(
    trainer: Trainer,
    results: Results,
    data_warnings: list[TrainingWarning],
    *,
    seed: int,
    **options,
) -> dict:
    """Writes tables, plots, report.html, README.md and metrics.json.

    Args:
        seed: of the baseline.
        **options: of `training_warnings.of_history`.

    Returns:
        What metrics.json holds.
    """
    folder = trainer.output_dir
    trained, all_warnings = None, list(data_warnings)
    probe, learning_curve = linear_start.read(folder)
    if trainer.task.is_multiclass:
        trained = _train_baseline(trainer, seed)
        all_warnings += training_warnings.run_warnings(
            folder, trainer.labels, **options
        )
    completed = {
        name: evaluation.complete(trained, probe.get(name))
        for name, evaluation in results.evaluations.items()
    }
    for evaluation in completed.values():
        evaluation.metrics["alarms"] = [one.to_json() for one in all_warnings]
        if learning_curve:
            evaluation.metrics["learning_curve"] = learning_curve
    model_card.write_card(
        folder, completed[next(iter(completed))], split=next(iter(completed))
    )
    if results.refitted is not None:
        # What an export has to answer.
        artifacts.write_predictions(folder, results.refitted)
    answer_rows = artifacts.write_results(
        folder,
        list(completed.values()),
        findings=results.findings,
        run_path=folder,
    )
    for (name, evaluation), rows in zip(
        completed.items(), answer_rows, strict=True
    ):
        logging.info(
            "%s\n%s",
            artifacts.metrics_table(
                evaluation.task,
                evaluation.metrics,
                f"{name.capitalize()} split",
            ),
            artifacts.sample_predictions(
                evaluation.task, evaluation.examples, rows
            ),
        )
    return completed["validation"].metrics


def _train_baseline(trainer: Trainer, seed: int) -> baseline.Baseline | None:
    if isinstance(trainer.encoded["train"], TokenizedRecords):
        return None
    trained = baseline.train(
        examples.segments(trainer.splits["train"]),
        trainer.labels,
        num_classes=trainer.task.num_outputs,
        seed=seed,
    )
    if trained is not None:
        trained.write(os.path.join(trainer.output_dir, run_dir.BASELINE))
    return trained
