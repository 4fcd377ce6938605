"""Writes report.html."""

import os
import shlex
import sys
from collections.abc import Mapping, Sequence

import markupsafe
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bert_tf import run_dir
from bert_tf.config.training import TrainConfig
from bert_tf.data import examples as examples_lib
from bert_tf.errors import shorten
from bert_tf.evaluation import metric_intervals
from bert_tf.evaluation.error_analysis import Findings
from bert_tf.evaluation.plots import confusion, figures
from bert_tf.evaluation.report import interpretation, model_card
from bert_tf.tasks.answers import AnswerRow
from bert_tf.tasks.base import Task

_METRICS = (
    ("accuracy", "accuracy"), ("f1", "F1"), ("precision", "precision"),
    ("recall", "recall"), ("f1_macro", "F1, macro"),
    ("f1_weighted", "F1, weighted"),
    ("matthews_correlation", "Matthews correlation"), ("roc_auc", "ROC AUC"),
    ("loss", "cross-entropy"),
    ("expected_calibration_error", "expected calibration error"),
)  # fmt: skip
_CAPTIONS = {
    "learning_curves": "Validation that falls behind training is overfitting.",
    "reliability": "Bars below the line: surer than right.",
    "score_histogram": "What a threshold would separate.",
    "roc_curve": "Of all thresholds, one class against the rest.",
    "precision_recall_curve": "Of all thresholds, one class against the rest.",
    "text_lengths": "What is right of the line is not seen by the model.",
}
_MOST_CONFUSED = 15
# The page's search for a threshold needs no more.
_MOST_POINTS = 400


def write_page(
    folder: str,
    *,
    split: str,
    metrics: dict,
    drawn: Mapping[str, Figure],
    findings: Findings,
    scores: tuple[np.ndarray, np.ndarray] | None,
    run_path: str | None,
    model_path: str,
    other_splits: Mapping[str, dict],
) -> None:
    """Writes report.html, which loads nothing from anywhere.

    Args:
        folder: where to.
        split: what was evaluated, e.g. "the test split".
        metrics: what metrics.json of that split holds.
        drawn: figures by the names of their PNG files.
        findings: texts to look at.
        scores: of two classes, which rows are positive <bool>[rows] and their
            scores <float>[rows].
        run_path: the run folder, for its settings, history and data; None
            where a SavedModel was evaluated.
        model_path: what --model was, for the commands.
        other_splits: metrics of other splits, to be shown beside.
    """
    suffix = "_test" if "test" in split and other_splits else ""
    values = {
        "title": f"{os.path.basename(os.path.normpath(model_path))}, {split}",
        "subtitle": _subtitle(metrics),
        "metrics": metrics,
        "verdict": interpretation.interpret(metrics, split=split),
        "alarms": metrics.get("alarms", []),
        "metric_rows": _metric_rows(metrics, other_splits),
        "has_tfidf": "tfidf_logistic_regression" in metrics["baselines"],
        "other_splits": list(other_splits),
        "plots": [
            {
                "svg": to_svg(drawn, name),
                "caption": caption,
            }
            for name, caption in _CAPTIONS.items()
            if name in drawn
        ],
        "confusion_svg": to_svg(drawn, "confusion_matrix"),
        "confusion_is_wide": len(metrics["labels"]) > confusion.LARGE_CELLS,
        "confused": interpretation.confused_pairs(
            metrics["confusion_matrix"], metrics["labels"], _MOST_CONFUSED
        )
        if len(metrics["labels"]) > 2
        else [],
        "findings": findings,
        "suffix": suffix,
        "commands": commands(model_path, is_run=run_path is not None),
    }
    if scores is not None:
        table = metric_intervals.threshold_table(*scores)
        values["threshold_rows"] = table.replace({np.nan: None}).to_dict(
            "records"
        )
        values["threshold_points"] = _points(*scores)
    if run_path is not None:
        values.update(model_card.read_facts(run_path, metrics))
    values.setdefault("settings", list(metrics.get("versions", {}).items()))
    values["sections"] = [
        (anchor, name)
        for anchor, name, key in (
            ("verdict", "Verdict", None), ("plots", "Plots", None),
            ("confusion", "Confusion", None), ("classes", "Classes", None),
            ("thresholds", "Thresholds", "threshold_rows"),
            ("training", "Training", "history"), ("texts", "Texts", None),
            ("samples", "Samples", None), ("data", "Data", "data_splits"),
            ("commands", "What next", None), ("settings", "Settings", None),
        )
        if key is None or values.get(key)
    ]  # fmt: skip
    html = (
        model_card.build_environment()
        .get_template("report.html")
        .render(values)
    )
    run_dir.write_text(os.path.join(folder, run_dir.REPORT), html)


def to_svg(drawn: Mapping[str, Figure], name: str) -> markupsafe.Markup:
    """Returns a figure, to stand in the page as it is."""
    return markupsafe.Markup(
        figures.to_svg(drawn[name], name, name.replace("_", " "))
    )


def _subtitle(metrics: dict) -> str:
    phrases = [f"{metrics['eval_samples']:,} texts"]
    phrases.append(f"{len(metrics['labels'])} classes")
    phrases.append(
        f"{metrics['eval_samples_per_second']:,.0f} texts/s in evaluation"
    )
    if "best" in metrics:
        phrases.append(f"weights of epoch {metrics['best']['epoch']}")
    return ", ".join(phrases)


def _metric_rows(metrics: dict, other_splits: Mapping[str, dict]) -> list[dict]:
    rows = []
    baselines = metrics["baselines"]
    for key, name in _METRICS:
        full = f"eval_{key}"
        # Of more than two classes F1 is the macro average, as below.
        if full not in metrics or (key == "f1" and len(metrics["labels"]) > 2):
            continue
        rows.append(
            {
                "name": name,
                "value": metrics[full],
                "interval": metrics["confidence_intervals"].get(full),
                "tfidf": baselines.get("tfidf_logistic_regression", {}).get(
                    key
                ),
                "majority": baselines["majority"].get(key),
                "others": [other[full] for other in other_splits.values()],
            }
        )
    return rows


def _points(is_positive: np.ndarray, scores: np.ndarray) -> list[list[float]]:
    """Returns [threshold, precision, recall], evenly picked."""
    precision, recall, limits = metric_intervals.operating_points(
        is_positive, scores
    )
    if not len(limits):
        return []
    picked = np.unique(
        np.linspace(0, len(limits) - 1, _MOST_POINTS).round().astype(int)
    )
    table = np.stack([limits, precision, recall], axis=1)[picked]
    return table.astype(float).tolist()


def commands(model_path: str, *, is_run: bool) -> Sequence[tuple[str, str]]:
    """Returns what to do next, and how."""
    python = f"{os.path.basename(sys.executable)} -m pipelines"
    if not is_run:
        return [
            (
                "Predict:",
                f'{python}.predict --model={shlex.quote(model_path)} "a text"',
            )
        ]
    run, name = shlex.quote(model_path), model_card.export_name(model_path)
    return [
        (
            "Repeat the training, which gives the same metrics on one CPU:",
            f"{python}.train --flagfile={run}/flags.txt "
            f"--output_dir={run}_again",
        ),
        (
            "Export the model:",
            f"{python}.export --run_dir={run} --name={name}",
        ),
        (
            "Serve it with TensorFlow Serving:",
            f"cd saved_models/{name}/serving && docker compose up",
        ),
        (
            "Ask it here:",
            f'{python}.predict --model=saved_models/{name} "a text"',
        ),
        (
            "Evaluate it on other labelled texts:",
            f"{python}.evaluate --model={run} --eval_file=FILE.csv "
            "--output_dir=FOLDER",
        ),
    ]


_SAMPLES = 40
_TEXT_WIDTH = 300


def write_plain_page(
    folder: str,
    *,
    task: Task,
    split: str,
    metrics: dict,
    examples: pd.DataFrame,
    answer_rows: Sequence[AnswerRow],
    curves: Figure | None,
    run_path: str | None,
    model_path: str,
    other_splits: Mapping[str, dict],
) -> None:
    """Writes report.html, which loads nothing from anywhere.

    Args:
        folder: where to.
        task: the model's.
        split: what was evaluated, e.g. "the test split".
        metrics: what metrics.json of that split holds.
        examples: its rows.
        answer_rows: the answers to them.
        curves: the learning curves.
        run_path: the run folder; None where a SavedModel was evaluated.
        model_path: what --model was, for the commands.
        other_splits: metrics of other splits, to be shown beside.
    """
    picked = np.linspace(0, len(examples) - 1, min(_SAMPLES, len(examples)))
    name = os.path.basename(os.path.normpath(model_path))
    values = {
        "title": f"{name}, {split}",
        "subtitle": (
            f"{task.name.replace('_', ' ')}, {metrics['eval_samples']:,} "
            f"examples, {metrics['eval_samples_per_second']:,.0f} a second in "
            "evaluation"
        ),
        "split": split,
        "bootstrap_samples": metrics["bootstrap_samples"],
        "other_splits": list(other_splits),
        "metric_rows": [
            {
                "name": title,
                "interval": metrics["confidence_intervals"].get(key),
                "values_": [
                    one[key] for one in (metrics, *other_splits.values())
                ],
            }
            for title, key in task.metric_rows
        ],
        "alarms": metrics.get("alarms", []),
        "curves_svg": to_svg({"c": curves}, "c") if curves else None,
        "per_class": metrics.get("per_class"),
        "answer_columns": task.answer_columns,
        "samples": [
            {
                "text": shorten(
                    " | ".join(
                        column[row]
                        for column in examples_lib.segments(examples)
                    ),
                    _TEXT_WIDTH,
                ),
                "label": shorten(examples["label"].iloc[row], _TEXT_WIDTH),
                "answer": [
                    shorten(cell, _TEXT_WIDTH) for cell in answer_rows[row][0]
                ],
            }
            for row in picked.astype(int)
        ],
        "commands": commands(model_path, is_run=run_path is not None),
    }
    if run_path is not None:
        values.update(model_card.read_facts(run_path, metrics))
    values.setdefault("settings", list(metrics.get("versions", {}).items()))
    template = model_card.build_environment().get_template("plain_report.html")
    run_dir.write_text(
        os.path.join(folder, run_dir.REPORT), template.render(values)
    )


def write_plain_card(
    folder: str, metrics: dict, task: Task, *, split: str
) -> None:
    """Writes the model card of a run, as `model_card.write_card` does."""
    tags = [task.name.replace("_", "-"), "bert", "tensorflow", "keras"]
    model_card.render(
        "plain_card.md",
        folder,
        TrainConfig.read(folder),
        metrics,
        {"tags": tags},
        split=split,
        task=task.name,
        rows=task.metric_rows,
    )
