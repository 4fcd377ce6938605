"""report.html: everything about an evaluation on one page, for a browser."""

import os
import shlex
import sys
from collections.abc import Mapping, Sequence

import jinja2
import markupsafe
import numpy as np
from matplotlib.figure import Figure

from bert_tf import run_dir
from bert_tf.evaluation import (
    confusion,
    figures,
    run_facts,
    thresholds,
    verdict,
)
from bert_tf.evaluation.findings import Findings

_TEMPLATES = os.path.join(os.path.dirname(__file__), "templates")
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
    part: str,
    metrics: dict,
    drawn: Mapping[str, Figure],
    findings: Findings,
    scores: tuple[np.ndarray, np.ndarray] | None,
    run_path: str | None,
    model_path: str,
    other_parts: Mapping[str, dict],
) -> None:
    """Writes report.html, which loads nothing from anywhere.

    Args:
        folder: where to.
        part: what was evaluated, e.g. "the test part".
        metrics: what metrics.json of that part holds.
        drawn: figures by the names of their PNG files.
        findings: texts to look at.
        scores: of two classes, which rows are positive <bool>[rows] and their
            scores <float>[rows].
        run_path: the run folder, for its settings, history and data; None
            where a SavedModel was evaluated.
        model_path: what --model was, for the commands.
        other_parts: metrics of other parts, to be shown beside.
    """
    suffix = "_test" if "test" in part and other_parts else ""
    values = {
        "title": f"{os.path.basename(os.path.normpath(model_path))}, {part}",
        "subtitle": _subtitle(metrics),
        "metrics": metrics,
        "verdict": verdict.verdict(metrics, part=part),
        "alarms": metrics.get("alarms", []),
        "metric_rows": _metric_rows(metrics, other_parts),
        "has_tfidf": "tfidf_logistic_regression" in metrics["baselines"],
        "other_parts": list(other_parts),
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
        "confused": verdict.confused_pairs(
            metrics["confusion_matrix"], metrics["labels"], _MOST_CONFUSED
        )
        if len(metrics["labels"]) > 2
        else [],
        "findings": findings,
        "suffix": suffix,
        "commands": commands(model_path, is_run=run_path is not None),
    }
    if scores is not None:
        values["threshold_rows"] = thresholds.threshold_table(*scores).replace(
            {np.nan: None}
        ).to_dict("records")  # fmt: skip
        values["threshold_points"] = _points(*scores)
    if run_path is not None:
        values.update(run_facts.read_facts(run_path, metrics))
    values.setdefault("settings", list(metrics.get("versions", {}).items()))
    values["sections"] = [
        (anchor, name)
        for anchor, name, key in (
            ("verdict", "Verdict", None), ("plots", "Plots", None),
            ("confusion", "Confusion", None), ("classes", "Classes", None),
            ("thresholds", "Thresholds", "threshold_rows"),
            ("training", "Training", "history"), ("texts", "Texts", None),
            ("samples", "Samples", None), ("data", "Data", "data_parts"),
            ("commands", "What next", None), ("settings", "Settings", None),
        )
        if key is None or values.get(key)
    ]  # fmt: skip
    html = build_environment().get_template("report.html").render(values)
    run_dir.write_text(os.path.join(folder, run_dir.REPORT), html)


def build_environment() -> jinja2.Environment:
    """Returns where the templates are; what they are given is escaped."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=lambda name: name.endswith(".html"),
        trim_blocks=True,
        lstrip_blocks=True,
    )


def to_svg(drawn: Mapping[str, Figure], name: str) -> markupsafe.Markup:
    """Returns a figure, to stand in the page as it is."""
    return markupsafe.Markup(
        figures.to_svg(drawn[name], name, name.replace("_", " "))
    )


def _subtitle(metrics: dict) -> str:
    parts = [f"{metrics['eval_samples']:,} texts"]
    parts.append(f"{len(metrics['labels'])} classes")
    parts.append(
        f"{metrics['eval_samples_per_second']:,.0f} texts/s in evaluation"
    )
    if "best" in metrics:
        parts.append(f"weights of epoch {metrics['best']['epoch']}")
    return ", ".join(parts)


def _metric_rows(metrics: dict, other_parts: Mapping[str, dict]) -> list[dict]:
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
                "others": [other[full] for other in other_parts.values()],
            }
        )
    return rows


def _points(is_positive: np.ndarray, scores: np.ndarray) -> list[list[float]]:
    """Returns [threshold, precision, recall], evenly picked."""
    precision, recall, limits = thresholds.operating_points(is_positive, scores)
    if not len(limits):
        return []
    picked = np.unique(
        np.linspace(0, len(limits) - 1, _MOST_POINTS).round().astype(int)
    )
    table = np.stack([limits, precision, recall], axis=1)[picked]
    return table.astype(float).tolist()


def export_name(path: str) -> str:
    """Returns a name that pipelines.export takes for the model of a run."""
    return "".join(
        letter if letter.isascii() and letter.isalnum() else "_"
        for letter in os.path.basename(os.path.normpath(path))
    )


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
    run, name = shlex.quote(model_path), export_name(model_path)
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
