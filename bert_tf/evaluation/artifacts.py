"""Writes the tables and plots of an evaluation."""

import csv
import os
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bert_tf import labels as labels_lib
from bert_tf import run_dir
from bert_tf.data import examples as examples_lib
from bert_tf.data.input_pipeline import EncodedTexts
from bert_tf.errors import shorten
from bert_tf.evaluation import metric_intervals
from bert_tf.evaluation.plots import confusion, figures, plots
from bert_tf.inference.batch_prediction import PredictionWriter
from bert_tf.metrics import calibration
from bert_tf.tasks import answers
from bert_tf.tasks.answers import AnswerRow
from bert_tf.tasks.base import Task


def example_ids(examples: pd.DataFrame) -> list[str]:
    """Returns the ids, or row numbers from 1 where the files have none."""
    return [
        str(number) if name is None else name
        for number, name in enumerate(examples["id"], 1)
    ]


def write_predictions(
    folder: str,
    *,
    task: Task,
    examples: pd.DataFrame,
    encoded: EncodedTexts,
    predictions: np.ndarray,
    suffix: str = "",
) -> list[AnswerRow]:
    """Writes predictions.csv and returns the answers in it.

    Args:
        folder: where to; exists already.
        task: the model's.
        examples: the labelled rows.
        encoded: their tokens.
        predictions: as `Task.metrics` takes it.
        suffix: put before the extension of the file name.
    """
    segments = examples_lib.segments(examples)
    answer_rows = answers.build_answer_rows(
        task, segments, encoded, predictions
    )
    path = os.path.join(folder, f"predictions{suffix}.csv")
    with (
        run_dir.written_aside(path) as aside,
        open(aside, "w", encoding="utf-8", newline="") as file,
    ):
        writer = PredictionWriter(
            file, task, has_pairs=len(segments) == 2, has_true_labels=True
        )
        writer.write(
            ids=example_ids(examples),
            segments=segments,
            answer_rows=answer_rows,
            true_labels=list(examples["label"]),
        )
    return answer_rows


def write_evaluation(
    folder: str,
    *,
    examples: pd.DataFrame,
    probabilities: np.ndarray,
    metrics: dict,
    token_counts: np.ndarray,
    max_seq_length: int | None,
    suffix: str = "",
) -> dict[str, Figure]:
    """Writes errors, thresholds and plots of a classification.

    Not metrics.json: it comes last, as it marks what is finished.

    Args:
        folder: where to; exists already.
        examples: the labelled rows.
        probabilities: <float32>[rows, classes], in the order of the rows.
        metrics: see `complete_metrics`, and whatever else is to be kept.
        token_counts: <int32>[rows], how long the texts are.
        max_seq_length: where they are cut, if known.
        suffix: put before the extension of each file name, e.g. "_test".

    Returns:
        The figures by name, for report.html.
    """
    class_names = metrics["labels"]
    errors = error_table(examples, probabilities, class_names)
    # Before Python 3.11.9 and 3.12.3 a text with "\r" would not be quoted.
    errors.to_csv(
        os.path.join(folder, f"errors{suffix}.csv"),
        index=False,
        quoting=csv.QUOTE_NONNUMERIC,
    )
    matrix = pd.DataFrame(
        metrics["confusion_matrix"], index=class_names, columns=class_names
    )
    matrix.to_csv(
        os.path.join(folder, f"confusion_matrix{suffix}.csv"),
        index_label="true \\ predicted",
    )
    labels = np.array(labels_lib.class_ids(examples["label"], class_names))
    scores = positive_scores(examples, probabilities, metrics)
    positive = None
    if scores is not None:
        positive = class_names.index(metrics["positive_class"])
        metric_intervals.threshold_table(*scores).to_csv(
            os.path.join(folder, f"thresholds{suffix}.csv"), index=False
        )
    drawn = draw(
        labels, probabilities, metrics, positive, token_counts, max_seq_length
    )
    for name, figure in drawn.items():
        figures.write_png(figure, os.path.join(folder, f"{name}{suffix}.png"))
    return drawn


def draw(
    labels: np.ndarray,
    probabilities: np.ndarray,
    metrics: dict,
    positive: int | None,
    token_counts: np.ndarray,
    max_seq_length: int | None,
) -> dict[str, Figure]:
    """Returns every plot of an evaluation, by the name of its file."""
    names = metrics["labels"]
    return {
        "confusion_matrix": confusion.confusion_matrix(
            metrics["confusion_matrix"], names
        ),
        "reliability": plots.reliability(
            calibration.reliability(labels, probabilities),
            metrics["eval_expected_calibration_error"],
        ),
        "score_histogram": plots.score_histogram(
            labels, probabilities, names, positive
        ),
        "roc_curve": plots.roc_curves(labels, probabilities, names, positive),
        "precision_recall_curve": plots.precision_recall_curves(
            labels, probabilities, names, positive
        ),
        "text_lengths": plots.text_lengths(token_counts, max_seq_length),
    }


def error_table(
    examples: pd.DataFrame, probabilities: np.ndarray, class_names: list[str]
) -> pd.DataFrame:
    """Returns the wrongly classified rows, the most confident first."""
    best = probabilities.argmax(axis=1)
    predictions = [class_names[i] for i in best]
    ids = [class_names.index(label) for label in examples["label"]]
    rows = np.arange(len(examples))
    table = pd.DataFrame(
        {
            "path": examples["path"].to_numpy(),
            "line": examples["line"].to_numpy(),
            "id": example_ids(examples),
            "text": examples["text"].to_numpy(),
            "text_pair": examples["text_pair"].to_numpy(),
            "true_label": examples["label"].to_numpy(),
            "label": predictions,
            "score": probabilities[rows, best],
            "score_of_true_label": probabilities[rows, ids],
        }
    )
    if examples["text_pair"].isna().all():
        table = table.drop(columns="text_pair")
    wrong = table[best != np.array(ids)]
    return wrong.sort_values("score", ascending=False, kind="stable")


def metrics_table(task: Task, metrics: dict, title: str) -> str:
    """Returns the metrics beside the majority baseline, for a terminal."""
    baseline = metrics.get("majority_baseline_accuracy")
    lines = [f"{title} ({metrics['eval_samples']:,} examples)"]
    for name, key in task.metric_rows:
        value = metrics[key]
        shown = "undefined" if value is None else f"{value:.4f}"
        note = ""
        if name == "accuracy" and baseline is not None:
            note = f"   (always the largest class: {baseline:.4f})"
        lines.append(f"  {name:<24}{shown:>10}{note}")
    if "per_class" not in metrics:
        return "\n".join(lines)
    width = max(len("class"), *(len(name) for name in metrics["per_class"]))
    lines.append(f"  {'class':<{width}}  precision  recall      F1  examples")
    for name, values in metrics["per_class"].items():
        lines.append(
            f"  {name:<{width}}  {values['precision']:>9.4f}"
            f"  {values['recall']:.4f}  {values['f1']:.4f}"
            f"  {values['support']:>8,}"
        )
    return "\n".join(lines)


def sample_predictions(
    task: Task,
    examples: pd.DataFrame,
    answer_rows: Sequence[AnswerRow],
    count: int = 5,
) -> str:
    """Returns a few predictions, evenly spaced over the rows, as a table."""
    picked = np.linspace(0, len(examples) - 1, min(count, len(examples)))
    lines = ["Sample predictions"]
    for i in picked.astype(int):
        answer = dict(zip(task.answer_columns, answer_rows[i][0], strict=True))
        if "score" in answer:
            answer["score"] = f"{float(answer['score']):.3f}"
        true_label = examples["label"].iloc[i]
        mark = f"labelled: {shorten(true_label)}"
        if task.is_multiclass:
            right = answer["label"] == true_label
            mark = "right" if right else f"wrong: {true_label}"
        shown = " ".join(shorten(cell) for cell in answer.values())
        lines.append(f"  {shown} ({mark})  {shorten(examples['text'].iloc[i])}")
    return "\n".join(lines)


def positive_scores(
    examples: pd.DataFrame, probabilities: np.ndarray, metrics: dict
) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns of two classes which rows are positive, and their scores."""
    if "positive_class" not in metrics:
        return None
    name = metrics["positive_class"]
    return (
        (examples["label"] == name).to_numpy(),
        probabilities[:, metrics["labels"].index(name)],
    )
