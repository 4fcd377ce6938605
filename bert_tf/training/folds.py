"""Trains on all folds but one, in turn, and predicts every row once.

So each row's prediction is of a model that has not seen it (Stone 1974,
"Cross-validatory choice and assessment of statistical predictions").
"""

import csv
import dataclasses
import functools
import os
import time
from collections.abc import Sequence

import numpy as np
import pandas as pd
from absl import logging

from bert_tf import run_dir
from bert_tf.config.training import TrainConfig
from bert_tf.data import examples, input_pipeline, label_issues
from bert_tf.data.folds import Folds
from bert_tf.data.input_pipeline import EncodedTexts
from bert_tf.evaluation import artifacts, error_analysis
from bert_tf.evaluation.evaluate import Evaluation
from bert_tf.inference import embeddings, loaded_run
from bert_tf.presets import presets
from bert_tf.tasks.answers import LoadedModel
from bert_tf.tasks.base import timed_metrics
from bert_tf.training import checkpoints, repeated

SUMMARY = "folds.json"
PREDICTIONS = "oof_predictions.csv"
# Which rows the folds have, before they are trained.
_DATA = "folds_data.json"


def train_folds(
    config: TrainConfig, data: Folds, *, with_label_issues: bool = False
) -> dict:
    """Trains a model for each fold and evaluates the rows held out.

    Each run has a folder `fold_N` below config.output_dir; those that are
    finished are not trained again, unless they are to be overwritten. Beside
    them are what `pipelines.evaluate` writes, of all rows held out and of the
    test file, whose predictions are the mean of the folds' models.

    Args:
        config: every setting.
        data: see `read_folds`.
        with_label_issues: whether labels that may be wrong are sought, see
            `label_issues.find`, and written to label_issues.csv.

    Returns:
        What folds.json holds: of the rows held out each metric's mean,
        standard deviation and values; and how many issues there are.

    Raises:
        InputError: see `repeated.train`; or the folder has folds of other
            rows.
    """
    repeated.check(config, "--num_folds")
    folder = config.output_dir
    _check_data(config, data)
    count, folders = len(data.splits), []
    for number, splits in enumerate(data.splits, 1):
        one = _fold_config(config, f"fold_{number}")
        repeated.train(
            one,
            lambda splits=splits: splits,
            title=f"Fold {number} of {count}",
        )
        folders.append(one.output_dir)
        # Predictions of all folds are averaged token by token.
        length = TrainConfig.read(folders[0]).max_seq_length
        config = dataclasses.replace(config, max_seq_length=length)
    models = [
        loaded_run.open_model(path, batch_size=config.eval_batch_size)
        for path in folders
    ]
    evaluations = _evaluate(folder, data, models)
    held_out = evaluations[0]
    findings = error_analysis.gather(
        held_out,
        {"train": (held_out.examples, held_out.encoded)},
        predict=models[0].predict_encoded,
        tokens=models[0].tokens,
        # A word's weight would be one model's, and the answers are of all.
        most_passes=0,
    )
    counts = {}
    if with_label_issues:
        issues = _find_label_issues(config, held_out)
        findings = dataclasses.replace(findings, label_issues=issues)
        counts = {"label_issues": label_issues.count(issues)}
    artifacts.write_results(
        folder, evaluations, findings=findings, run_path=None
    )
    os.replace(
        os.path.join(folder, run_dir.PREDICTIONS),
        os.path.join(folder, PREDICTIONS),
    )
    for one in evaluations:
        title = one.title[0].upper() + one.title[1:]
        logging.info(
            "%s", artifacts.metrics_table(one.task, one.metrics, title)
        )
    summary = {
        "schema_version": 1,
        "num_folds": count,
        "runs": folders,
        "held_out": repeated.summarize(folders, run_dir.TEST_METRICS),
        **counts,
    }
    run_dir.write_json(os.path.join(folder, SUMMARY), summary)
    return summary


def describe(summary: dict) -> str:
    """Returns the summary as a table for a terminal."""
    title = f"Rows held out, {summary['num_folds']} folds"
    return repeated.describe(summary["held_out"], title)


def train_all_rows(config: TrainConfig, data: Folds) -> str:
    """Trains on all rows, as the folds were, and returns the run folder.

    Its own figures are of validation rows, which it is trained on afterwards.
    """
    one = _fold_config(config, "all_rows")
    if not one.validation_file:
        one = dataclasses.replace(one, refit=True)
    repeated.train(one, data.all_rows, title="All rows")
    return one.output_dir


def _fold_config(config: TrainConfig, name: str) -> TrainConfig:
    return dataclasses.replace(
        config,
        output_dir=os.path.join(config.output_dir, name),
        # Rows were taken already, and those held out are the test split.
        test_file=(),
        max_train_samples=None,
    )


def _check_data(config: TrainConfig, data: Folds) -> None:
    """Raises InputError where the folder has folds of other rows."""
    path = os.path.join(config.output_dir, _DATA)
    current = {
        "rows": checkpoints.digest(data.rows),
        "num_folds": len(data.splits),
        "seed": config.seed,
    }
    if not os.path.exists(path):
        run_dir.check_new_dir(config.output_dir)
        os.makedirs(config.output_dir, exist_ok=True)
    elif not config.overwrite_output_dir:
        checkpoints.check_same("folds", run_dir.read_json(path), current)
    run_dir.write_json(path, current)


def _evaluate(
    folder: str, data: Folds, models: Sequence[LoadedModel]
) -> list[Evaluation]:
    """Returns that of all rows held out, and that of the test file, if any."""
    count, order = len(models), np.argsort(data.fold_of_row, kind="stable")
    rows = data.rows.assign(id=artifacts.example_ids(data.rows)).iloc[order]
    start = time.monotonic()
    answered = [
        _answer(model, rows[data.fold_of_row[order] == fold])
        for fold, model in enumerate(models)
    ]
    encoded = functools.reduce(
        input_pipeline.concatenate, [one for one, _ in answered]
    )
    predictions = np.concatenate([one for _, one in answered])
    task = models[0].task.fit_thresholds(rows, encoded, predictions)

    def evaluation(examples, encoded, predictions, **options):
        metrics = timed_metrics(
            task,
            examples,
            encoded,
            predictions,
            seconds=time.monotonic() - start,
        )
        return Evaluation(
            model_path=folder,
            task=task,
            examples=examples,
            encoded=encoded,
            predictions=predictions,
            metrics={"schema_version": 1, "num_folds": count, **metrics},
            max_seq_length=models[0].max_seq_length,
            **options,
        ).complete(None)

    held_out = evaluation(
        rows,
        encoded,
        predictions,
        title="the out-of-fold split",
        order=np.argsort(order),
    )
    if data.test is None:
        return [held_out]
    start = time.monotonic()
    answered = [_answer(model, data.test) for model in models]
    test = evaluation(
        data.test,
        answered[0][0],
        np.mean([one for _, one in answered], axis=0),
        title=f"the test split, by the mean of {count} models",
        suffix="_test",
    )
    return [held_out, test]


def _find_label_issues(
    config: TrainConfig, held_out: Evaluation
) -> pd.DataFrame:
    """Finds issues among rows held out, and writes them."""
    embedder = embeddings.Embedder(
        presets.resolve(config.preset),
        max_seq_length=config.max_seq_length,
        batch_size=config.eval_batch_size,
    )
    texts = [
        " ".join(texts)
        for texts in zip(*examples.segments(held_out.examples), strict=True)
    ]
    issues = label_issues.find(
        held_out.examples,
        held_out.class_names,
        held_out.predictions,
        embedder(texts),
    )
    path = os.path.join(config.output_dir, label_issues.FILE)
    with run_dir.written_aside(path) as aside:
        # Before Python 3.11.9 a text with "\r" would not be quoted.
        issues.to_csv(aside, index=False, quoting=csv.QUOTE_NONNUMERIC)
    return issues


def _answer(
    model: LoadedModel, rows: pd.DataFrame
) -> tuple[EncodedTexts, np.ndarray]:
    encoded = model.encode(examples.segments(rows))
    return encoded, model.predict_encoded(encoded)
