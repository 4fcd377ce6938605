"""Evaluates a run or a SavedModel on labelled files."""

import dataclasses
import os
import time
from collections.abc import Sequence

import numpy as np
import pandas as pd

from bert_tf import run_dir
from bert_tf.data import examples
from bert_tf.data.pipeline import EncodedTexts
from bert_tf.errors import InputError
from bert_tf.evaluation import (
    baseline,
    findings,
    page,
    plain_report,
    plots,
    report,
    subjects,
    summary,
)
from bert_tf.evaluation.subjects import Subject
from bert_tf.tasks.task import timed_metrics

# Explaining texts may take so much of the time that predicting them took.
_EXPLAINED_SHARE = 0.04
_FEWEST_PASSES = 64


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        subject: the model.
        examples: the labelled rows.
        encoded: their tokens.
        probabilities: what is predicted, see `Task.metrics`.
        metrics: what metrics.json holds.
    """

    subject: Subject
    examples: pd.DataFrame
    encoded: EncodedTexts
    probabilities: np.ndarray
    metrics: dict


def evaluate(
    model: str,
    eval_file: Sequence[str],
    *,
    batch_size: int = 64,
    **column_names: str | None,
) -> Evaluation:
    """Asks a model all texts of labelled files and compares the answers.

    Args:
        model: a run folder or an exported SavedModel.
        eval_file: paths and globs of labelled files.
        batch_size: texts a step.
        **column_names: as for `read_examples`.

    Raises:
        InputError: the model or the files are wrong, or a label is one that
            the model does not know.
    """
    task = subjects.task_class(model)
    part, columns = examples.read_examples(
        eval_file, labels_may_be_empty=task.labels_may_be_empty, **column_names
    )
    subject = subjects.open_subject(model, batch_size)
    task = subject.task
    task.check_labels(part)
    segments = examples.segments(part)
    if subject.has_pairs != (len(segments) == 2):
        raise InputError(
            f"{model} takes "
            f"{'two texts' if subject.has_pairs else 'one text'} an "
            f"example, but {columns.describe()}; see --text_column and "
            "--text_pair_column"
        )
    start = time.monotonic()
    encoded = subject.encode(segments)
    probabilities = subject.predict_encoded(encoded)
    metrics = timed_metrics(
        task, part, encoded, probabilities, seconds=time.monotonic() - start
    )
    if task.has_single_label:
        saved = None
        path = os.path.join(subject.path, run_dir.BASELINE)
        if subject.is_run and os.path.exists(path):
            saved = baseline.read(path)
        metrics = summary.complete_metrics(metrics, part, probabilities, saved)
    else:
        metrics = summary.with_intervals(
            task, metrics, part, encoded, probabilities
        )
    return Evaluation(
        subject=subject,
        examples=part,
        encoded=encoded,
        probabilities=probabilities,
        metrics={"schema_version": 1, **metrics},
    )


def write(folder: str, evaluation: Evaluation) -> None:
    """Writes the tables, the plots and report.html to a folder."""
    subject, metrics = evaluation.subject, evaluation.metrics
    cells = report.write_predictions(
        folder,
        task=subject.task,
        examples=evaluation.examples,
        encoded=evaluation.encoded,
        predicted=evaluation.probabilities,
    )
    run_path = subject.path if subject.is_run else None
    curves = None
    if run_path is not None:
        config = run_dir.read_json(os.path.join(run_path, run_dir.CONFIG))
        curves = plots.learning_curves(
            pd.read_csv(os.path.join(run_path, run_dir.HISTORY)),
            config["metric_for_best_model"],
        )
    if subject.task.has_single_label:
        _write_classification(folder, evaluation, curves, run_path)
    else:
        plain_report.write_page(
            folder,
            task=subject.task,
            part=describe_files(evaluation.examples),
            metrics=metrics,
            examples=evaluation.examples,
            cells=cells,
            curves=curves,
            run_path=run_path,
            model_path=subject.path,
            other_parts={},
        )
    run_dir.write_json(os.path.join(folder, run_dir.METRICS), metrics)


def _write_classification(folder, evaluation, curves, run_path) -> None:
    """Writes tables, plots and report.html."""
    subject, metrics = evaluation.subject, evaluation.metrics
    drawn = report.write_evaluation(
        folder,
        examples=evaluation.examples,
        probabilities=evaluation.probabilities,
        metrics=metrics,
        token_counts=evaluation.encoded.token_counts,
        max_seq_length=subject.max_seq_length,
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
            predict=subject.predict_encoded,
            tokens=subject.tokens,
            most_passes=max(
                _FEWEST_PASSES,
                int(_EXPLAINED_SHARE * len(evaluation.examples)),
            ),
        ),
        scores=report.positive_scores(
            evaluation.examples, evaluation.probabilities, metrics
        ),
        run_path=run_path,
        model_path=subject.path,
        other_parts={},
    )


def describe_files(part: pd.DataFrame) -> str:
    """Returns the names of the files that rows come from."""
    names = [os.path.basename(str(path)) for path in part["path"].unique()]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
