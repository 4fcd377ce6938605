"""Writes the tables and plots of an evaluation."""

import csv
import os
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bert_tf import run_dir
from bert_tf.config.training import TrainConfig
from bert_tf.data import examples as examples_lib
from bert_tf.errors import shorten
from bert_tf.evaluation import metric_intervals
from bert_tf.evaluation.error_analysis import Findings
from bert_tf.evaluation.evaluate import Evaluation
from bert_tf.evaluation.plots import figures, plots
from bert_tf.evaluation.report import html_report, interpretation
from bert_tf.inference.batch_prediction import PredictionWriter
from bert_tf.tasks import answers
from bert_tf.tasks.answers import AnswerRow
from bert_tf.tasks.base import Task


def example_ids(examples: pd.DataFrame) -> list[str]:
    """Returns the ids, or row numbers from 1 where the files have none."""
    return [
        str(number) if name is None else name
        for number, name in enumerate(examples["id"], 1)
    ]


def write_results(
    folder: str,
    evaluations: Sequence[Evaluation],
    *,
    findings: Findings | None,
    run_path: str | None,
) -> list[list[AnswerRow]]:
    """Writes tables, plots, report.html and metrics.json.

    Args:
        evaluations: of one model. The first is the page's; the last is that of
            metrics.json, which marks what is finished.
        findings: texts to look at, of a classification.
        run_path: the run folder, for its settings, history and data; None
            where a SavedModel was evaluated.

    Returns:
        The answers to the examples of each evaluation.
    """
    answer_rows = [write_predictions(folder, one) for one in evaluations]
    drawn = {}
    if run_path is not None:
        drawn["learning_curves"] = plots.learning_curves(
            pd.read_csv(os.path.join(run_path, run_dir.HISTORY)),
            TrainConfig.read(run_path).metric_for_best_model,
        )
        write_plots(folder, drawn)
    if evaluations[0].task.is_multiclass:
        for one in reversed(evaluations):
            write_tables(folder, one)
            plots_of_one = {
                name: function(one)
                for name, (function, _) in plots.PLOTS.items()
            }
            write_plots(folder, plots_of_one, suffix=one.suffix)
        drawn.update(plots_of_one)
    html_report.write_page(
        folder,
        evaluations,
        answer_rows=answer_rows[0],
        drawn=drawn,
        findings=findings,
        run_path=run_path,
    )
    for one in evaluations:
        run_dir.write_json(
            os.path.join(folder, f"metrics{one.suffix}.json"), one.metrics
        )
    return answer_rows


def write_predictions(folder: str, evaluation: Evaluation) -> list[AnswerRow]:
    """Writes predictions.csv and returns the answers in it."""
    examples = evaluation.examples
    segments = examples_lib.segments(examples)
    answer_rows = answers.build_answer_rows(
        evaluation.task, segments, evaluation.encoded, evaluation.predictions
    )
    order = evaluation.order
    if order is None:
        order = np.arange(len(examples))
    ids, labels = example_ids(examples), list(examples["label"])
    path = os.path.join(folder, f"predictions{evaluation.suffix}.csv")
    with (
        run_dir.written_aside(path) as aside,
        open(aside, "w", encoding="utf-8", newline="") as file,
    ):
        writer = PredictionWriter(
            file,
            evaluation.task,
            has_pairs=len(segments) == 2,
            has_true_labels=True,
        )
        writer.write(
            ids=[ids[i] for i in order],
            segments=tuple([texts[i] for i in order] for texts in segments),
            answer_rows=[answer_rows[i] for i in order],
            true_labels=[labels[i] for i in order],
        )
    return answer_rows


def write_tables(folder: str, evaluation: Evaluation) -> None:
    """Writes errors, confusion matrix and thresholds of a classification."""
    class_names, suffix = evaluation.class_names, evaluation.suffix
    errors = error_table(
        evaluation.examples, evaluation.predictions, class_names
    )
    # Before Python 3.11.9 and 3.12.3 a text with "\r" would not be quoted.
    errors.to_csv(
        os.path.join(folder, f"errors{suffix}.csv"),
        index=False,
        quoting=csv.QUOTE_NONNUMERIC,
    )
    matrix = pd.DataFrame(
        evaluation.metrics["confusion_matrix"],
        index=class_names,
        columns=class_names,
    )
    matrix.to_csv(
        os.path.join(folder, f"confusion_matrix{suffix}.csv"),
        index_label="true \\ predicted",
    )
    if evaluation.positive is not None:
        metric_intervals.threshold_table(*evaluation.positive_scores()).to_csv(
            os.path.join(folder, f"thresholds{suffix}.csv"), index=False
        )


def write_plots(
    folder: str, drawn: Mapping[str, Figure], suffix: str = ""
) -> None:
    """Writes figures as PNG files of their names."""
    for name, figure in drawn.items():
        figures.write_png(figure, os.path.join(folder, f"{name}{suffix}.png"))


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
    samples = metrics["eval_samples"]
    rough = ", rough figures" if samples < interpretation.FEW_TEXTS else ""
    lines = [f"{title} ({samples:,} examples{rough})"]
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
