"""Evaluates a run or a SavedModel on labelled files."""

import dataclasses
import os
import time

import numpy as np
import pandas as pd

from bert_tf import run_dir
from bert_tf.data.examples import segments as segments_of
from bert_tf.data.pipeline import EncodedTexts
from bert_tf.errors import InputError
from bert_tf.evaluation import (
    baseline,
    findings,
    page,
    plain_report,
    plots,
    report,
    summary,
)
from bert_tf.inference.loaded_model import LoadedModel
from bert_tf.tasks.task import timed_metrics

# Explaining texts may take so much of the time that predicting them took.
_EXPLAINED_SHARE = 0.04
_FEWEST_PASSES = 64


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

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
        wanted, found = "two texts", "one text"
        if not model.has_pairs:
            wanted, found = found, wanted
        raise InputError(
            f"{model.path} takes {wanted} an example, but "
            f"{describe_files(examples)} gives {found}; see --text_column and "
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
    if model.task.has_single_label:
        saved = None
        path = os.path.join(model.path, run_dir.BASELINE)
        if model.is_run and os.path.exists(path):
            saved = baseline.read(path)
        metrics = summary.complete_metrics(
            metrics, examples, probabilities, saved
        )
    else:
        metrics = summary.with_intervals(
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
    cells = report.write_predictions(
        folder,
        task=model.task,
        examples=evaluation.examples,
        encoded=evaluation.encoded,
        predicted=evaluation.probabilities,
    )
    run_path = model.path if model.is_run else None
    curves = None
    if run_path is not None:
        config = run_dir.read_json(os.path.join(run_path, run_dir.CONFIG))
        curves = plots.learning_curves(
            pd.read_csv(os.path.join(run_path, run_dir.HISTORY)),
            config["metric_for_best_model"],
        )
    if model.task.has_single_label:
        _write_classification(folder, evaluation, curves, run_path)
    else:
        plain_report.write_page(
            folder,
            task=model.task,
            part=describe_files(evaluation.examples),
            metrics=metrics,
            examples=evaluation.examples,
            cells=cells,
            curves=curves,
            run_path=run_path,
            model_path=model.path,
            other_parts={},
        )
    run_dir.write_json(os.path.join(folder, run_dir.METRICS), metrics)


def _write_classification(folder, evaluation, curves, run_path) -> None:
    """Writes tables, plots and report.html."""
    model, metrics = evaluation.model, evaluation.metrics
    drawn = report.write_evaluation(
        folder,
        examples=evaluation.examples,
        probabilities=evaluation.probabilities,
        metrics=metrics,
        token_counts=evaluation.encoded.token_counts,
        max_seq_length=model.max_seq_length,
    )
    if curves is not None:
        drawn["learning_curves"] = curves
    page.write_page(
        folder,
        part=describe_files(evaluation.examples),
        metrics=metrics,
        drawn=drawn,
        findings=findings.gather(
            "evaluated",
            evaluation.probabilities,
            metrics["labels"],
            parts={"evaluated": evaluation.examples},
            encoded={"evaluated": evaluation.encoded},
            predict=model.predict_encoded,
            tokens=model.tokens,
            most_passes=max(
                _FEWEST_PASSES,
                int(_EXPLAINED_SHARE * len(evaluation.examples)),
            ),
        ),
        scores=report.positive_scores(
            evaluation.examples, evaluation.probabilities, metrics
        ),
        run_path=run_path,
        model_path=model.path,
        other_parts={},
    )


def describe_files(part: pd.DataFrame) -> str:
    """Returns the names of the files that rows come from."""
    names = [os.path.basename(str(path)) for path in part["path"].unique()]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
