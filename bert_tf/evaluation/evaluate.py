"""Evaluates a run or a SavedModel on labelled files."""

import dataclasses
import os
import time
from collections.abc import Sequence

import numpy as np
import pandas as pd

from bert_tf import labels as labels_lib
from bert_tf import run_dir
from bert_tf.data import checking, examples
from bert_tf.data.pipeline import EncodedTexts
from bert_tf.errors import InputError
from bert_tf.evaluation import (
    baseline,
    findings,
    page,
    plots,
    report,
    subjects,
    summary,
)
from bert_tf.evaluation import metrics as metrics_lib
from bert_tf.evaluation.subjects import Subject

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
        probabilities: <float32>[rows, classes], in the order of the rows.
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
    part, columns = examples.read_examples(eval_file, **column_names)
    subject = subjects.open_subject(model, batch_size)
    checking.check_known_labels(part, subject.class_names)
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
    if subject.is_run:
        probabilities = subject.predict_encoded(encoded)
    else:
        # As a server would answer, tokenizer and all.
        probabilities = subject.predict(segments)
    metrics = metrics_lib.classification_metrics(
        np.array(labels_lib.class_ids(part["label"], subject.class_names)),
        probabilities,
        subject.class_names,
        seconds=time.monotonic() - start,
    )
    saved = None
    path = os.path.join(subject.path, run_dir.BASELINE)
    if subject.is_run and os.path.exists(path):
        saved = baseline.read(path)
    metrics = summary.complete_metrics(metrics, part, probabilities, saved)
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
    drawn = report.write_evaluation(
        folder,
        examples=evaluation.examples,
        probabilities=evaluation.probabilities,
        metrics=metrics,
        token_counts=evaluation.encoded.token_counts,
        max_seq_length=subject.max_seq_length,
    )
    run_path = subject.path if subject.is_run else None
    if run_path is not None:
        config = run_dir.read_json(os.path.join(run_path, run_dir.CONFIG))
        drawn["learning_curves"] = plots.learning_curves(
            pd.read_csv(os.path.join(run_path, run_dir.HISTORY)),
            config["metric_for_best_model"],
        )
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
    run_dir.write_json(os.path.join(folder, run_dir.METRICS), metrics)


def describe_files(part: pd.DataFrame) -> str:
    """Returns the names of the files that rows come from."""
    names = [os.path.basename(str(path)) for path in part["path"].unique()]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
