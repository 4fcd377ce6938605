"""What an evaluation leaves behind: tables for people and for programs."""

import os

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bert_tf import labels as labels_lib
from bert_tf.data import examples as examples_lib
from bert_tf.evaluation import (
    calibration,
    confusion,
    curves,
    figures,
    plots,
    thresholds,
)
from bert_tf.serving.predictions import PredictionWriter

_TABLE_ROWS = (
    ("accuracy", "eval_accuracy"),
    ("F1, macro", "eval_f1_macro"),
    ("F1, weighted", "eval_f1_weighted"),
    ("Matthews correlation", "eval_matthews_correlation"),
    ("ROC AUC", "eval_roc_auc"),
    ("cross-entropy", "eval_loss"),
)
_SAMPLE_TEXT_WIDTH = 60


def example_ids(examples: pd.DataFrame) -> list[str]:
    """Returns the ids, or row numbers from 1 where the files have none."""
    return [
        str(number) if name is None else name
        for number, name in enumerate(examples["id"], 1)
    ]


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
    """Writes predictions, errors, thresholds and plots.

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
    segments = examples_lib.segments(examples)
    aside = os.path.join(folder, f"predictions{suffix}.csv.tmp")
    with open(aside, "w", encoding="utf-8", newline="") as file:
        writer = PredictionWriter(
            file,
            class_names,
            has_pairs=len(segments) == 2,
            has_true_labels=True,
        )
        writer.write(
            ids=example_ids(examples),
            segments=segments,
            probabilities=probabilities,
            true_labels=list(examples["label"]),
        )
    os.replace(aside, aside.removesuffix(".tmp"))
    errors = error_table(examples, probabilities, class_names)
    errors.to_csv(os.path.join(folder, f"errors{suffix}.csv"), index=False)
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
        thresholds.threshold_table(*scores).to_csv(
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
        "roc_curve": curves.roc_curves(labels, probabilities, names, positive),
        "precision_recall_curve": curves.precision_recall_curves(
            labels, probabilities, names, positive
        ),
        "text_lengths": plots.text_lengths(token_counts, max_seq_length),
    }


def error_table(
    examples: pd.DataFrame, probabilities: np.ndarray, class_names: list[str]
) -> pd.DataFrame:
    """Returns the wrongly classified rows, the most confident first."""
    best = probabilities.argmax(axis=1)
    predicted = [class_names[i] for i in best]
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
            "label": predicted,
            "score": probabilities[rows, best],
            "score_of_true_label": probabilities[rows, ids],
        }
    )
    if examples["text_pair"].isna().all():
        table = table.drop(columns="text_pair")
    wrong = table[best != np.array(ids)]
    return wrong.sort_values("score", ascending=False, kind="stable")


def metrics_table(metrics: dict, title: str) -> str:
    """Returns the metrics beside the majority baseline, for a terminal."""
    baseline = metrics["majority_baseline_accuracy"]
    lines = [f"{title} ({metrics['eval_samples']:,} examples)"]
    if len(metrics["labels"]) == 2:
        rows = (*_TABLE_ROWS[:1], ("F1", "eval_f1"), *_TABLE_ROWS[1:])
    else:
        rows = _TABLE_ROWS
    for name, key in rows:
        value = metrics[key]
        shown = "undefined" if value is None else f"{value:.4f}"
        note = f"   (always the largest class: {baseline:.4f})"
        lines.append(
            f"  {name:<24}{shown:>10}{note if name == 'accuracy' else ''}"
        )
    width = max(len("class"), *(len(name) for name in metrics["labels"]))
    lines.append(f"  {'class':<{width}}  precision  recall      F1  examples")
    for name, values in metrics["per_class"].items():
        lines.append(
            f"  {name:<{width}}  {values['precision']:>9.4f}"
            f"  {values['recall']:.4f}  {values['f1']:.4f}"
            f"  {values['support']:>8,}"
        )
    return "\n".join(lines)


def sample_predictions(
    examples: pd.DataFrame,
    probabilities: np.ndarray,
    class_names: list[str],
    count: int = 5,
) -> str:
    """Returns a few predictions, evenly spaced over the rows, as a table."""
    picked = np.linspace(0, len(examples) - 1, min(count, len(examples)))
    lines = ["Sample predictions"]
    for i in picked.astype(int):
        best = int(probabilities[i].argmax())
        truth = examples["label"].iloc[i]
        mark = "right" if class_names[best] == truth else f"wrong: {truth}"
        lines.append(
            f"  {class_names[best]} {probabilities[i, best]:.3f} ({mark})  "
            f"{shorten(examples['text'].iloc[i])}"
        )
    return "\n".join(lines)


def shorten(text: str, width: int = _SAMPLE_TEXT_WIDTH) -> str:
    """Returns the text on one line, cut to `width` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"


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
