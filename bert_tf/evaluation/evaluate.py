"""Evaluates a run or a SavedModel on labelled files."""

import dataclasses
import os
import time

import numpy as np
import pandas as pd

from bert_tf import run_dir
from bert_tf.config.training import TrainConfig
from bert_tf.data.examples import segments as segments_of
from bert_tf.data.input_pipeline import EncodedTexts
from bert_tf.errors import InputError
from bert_tf.evaluation import (
    artifacts,
    baseline,
    error_analysis,
    metric_intervals,
)
from bert_tf.evaluation.plots import plots
from bert_tf.evaluation.report import html_report
from bert_tf.tasks.answers import LoadedModel
from bert_tf.tasks.base import timed_metrics

# Explaining texts may take so much of the time that predicting them took.
_EXPLAINED_SHARE = 0.04
_FEWEST_PASSES = 64


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation.

    Attributes:
        model: what was asked.
        examples: the labelled rows.
        encoded: their tokens.
        probabilities: what is predicted, see `Task.metrics`.
        metrics: what metrics.json holds.
    """

    model: LoadedModel
    examples: pd.DataFrame
    encoded: EncodedTexts
    probabilities: np.ndarray
    metrics: dict


def evaluate(model: LoadedModel, examples: pd.DataFrame) -> Evaluation:
    """Asks a model the texts of labelled rows and compares the answers.

    Args:
        model: a run folder or an exported SavedModel.
        examples: what `read_labelled` read.

    Raises:
        InputError: the model takes pairs and the rows have none, or the other
            way round.
    """
    segments = segments_of(examples)
    if model.has_pairs != (len(segments) == 2):
        wanted, given = "two texts", "one text"
        if not model.has_pairs:
            wanted, given = given, wanted
        raise InputError(
            f"{model.path} takes {wanted} an example, but "
            f"{describe_files(examples)} gives {given}; see --text_column and "
            "--text_pair_column"
        )
    start = time.monotonic()
    encoded = model.encode(segments)
    probabilities = model.predict_encoded(encoded)
    metrics = timed_metrics(
        model.task,
        examples,
        encoded,
        probabilities,
        seconds=time.monotonic() - start,
    )
    if model.task.is_multiclass:
        saved = None
        path = os.path.join(model.path, run_dir.BASELINE)
        if model.is_run and os.path.exists(path):
            saved = baseline.read(path)
        metrics = metric_intervals.complete_metrics(
            metrics, examples, probabilities, saved
        )
    else:
        metrics = metric_intervals.with_intervals(
            model.task, metrics, examples, encoded, probabilities
        )
    return Evaluation(
        model=model,
        examples=examples,
        encoded=encoded,
        probabilities=probabilities,
        metrics={"schema_version": 1, **metrics},
    )


def write(folder: str, evaluation: Evaluation) -> None:
    """Writes the tables, the plots and report.html to a folder."""
    model, metrics = evaluation.model, evaluation.metrics
    answer_rows = artifacts.write_predictions(
        folder,
        task=model.task,
        examples=evaluation.examples,
        encoded=evaluation.encoded,
        predictions=evaluation.probabilities,
    )
    run_path = model.path if model.is_run else None
    curves = None
    if run_path is not None:
        curves = plots.learning_curves(
            pd.read_csv(os.path.join(run_path, run_dir.HISTORY)),
            TrainConfig.read(run_path).metric_for_best_model,
        )
    if model.task.is_multiclass:
        _write_classification(folder, evaluation, curves, run_path)
    else:
        html_report.write_plain_page(
            folder,
            task=model.task,
            split=describe_files(evaluation.examples),
            metrics=metrics,
            examples=evaluation.examples,
            answer_rows=answer_rows,
            curves=curves,
            run_path=run_path,
            model_path=model.path,
            other_splits={},
        )
    run_dir.write_json(os.path.join(folder, run_dir.METRICS), metrics)


def _write_classification(folder, evaluation, curves, run_path) -> None:
    """Writes tables, plots and report.html."""
    model, metrics = evaluation.model, evaluation.metrics
    drawn = artifacts.write_evaluation(
        folder,
        examples=evaluation.examples,
        probabilities=evaluation.probabilities,
        metrics=metrics,
        token_counts=evaluation.encoded.token_counts,
        max_seq_length=model.max_seq_length,
    )
    if curves is not None:
        drawn["learning_curves"] = curves
    html_report.write_page(
        folder,
        split=describe_files(evaluation.examples),
        metrics=metrics,
        drawn=drawn,
        findings=error_analysis.gather(
            "evaluated",
            evaluation.probabilities,
            metrics["labels"],
            splits={"evaluated": evaluation.examples},
            encoded={"evaluated": evaluation.encoded},
            predict=model.predict_encoded,
            tokens=model.tokens,
            most_passes=max(
                _FEWEST_PASSES,
                int(_EXPLAINED_SHARE * len(evaluation.examples)),
            ),
        ),
        scores=artifacts.positive_scores(
            evaluation.examples, evaluation.probabilities, metrics
        ),
        run_path=run_path,
        model_path=model.path,
        other_splits={},
    )


def describe_files(split: pd.DataFrame) -> str:
    """Returns the names of the files that rows come from."""
    names = [os.path.basename(str(path)) for path in split["path"].unique()]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
