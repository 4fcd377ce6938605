"""Writes report.html."""

import os
import shlex
import sys
from collections.abc import Mapping, Sequence

import markupsafe
import numpy as np
from matplotlib.figure import Figure

from bert_tf import run_dir
from bert_tf.data import examples as examples_lib
from bert_tf.data import label_issues
from bert_tf.errors import shorten
from bert_tf.evaluation import metric_intervals
from bert_tf.evaluation.error_analysis import Findings
from bert_tf.evaluation.evaluate import Evaluation
from bert_tf.evaluation.plots import confusion, figures, plots
from bert_tf.evaluation.report import interpretation, model_card
from bert_tf.inference import model_files
from bert_tf.tasks.answers import AnswerRow

_METRICS = (
    ("accuracy", "accuracy"), ("f1", "F1"), ("precision", "precision"),
    ("recall", "recall"), ("f1_macro", "F1, macro"),
    ("f1_weighted", "F1, weighted"),
    ("matthews_correlation", "Matthews correlation"), ("roc_auc", "ROC AUC"),
    ("loss", "cross-entropy"),
    ("expected_calibration_error", "expected calibration error"),
)  # fmt: skip
_BASELINES = {
    "tfidf_logistic_regression": "TF-IDF + log. regression",
    "linear_probe": "linear probe",
    "majority": "largest class",
}
_MOST_CONFUSED = 15
_MOST_ISSUES = 100
# The page's search for a threshold needs no more.
_MOST_POINTS = 400


def write_page(
    folder: str,
    evaluations: Sequence[Evaluation],
    *,
    answer_rows: Sequence[AnswerRow],
    drawn: Mapping[str, Figure],
    findings: Findings | None,
    run_path: str | None,
) -> None:
    """Writes report.html, which loads nothing from anywhere.

    Args:
        evaluations: the one reported, and others whose metrics stand beside.
        answer_rows: the answers to the examples of the first.
        drawn: figures by the names of their PNG files.
        findings: texts to look at, of a classification.
        run_path: the run folder, for its settings, history and data; None
            where a SavedModel was evaluated.
    """
    evaluation, *others = evaluations
    metrics = evaluation.metrics
    name = os.path.basename(os.path.normpath(evaluation.model_path))
    values = {
        "title": f"{name}, {evaluation.title}",
        "metrics": metrics,
        "alarms": metrics.get("alarms", []),
        "other_splits": [one.title.removeprefix("the ") for one in others],
        "commands": commands(
            evaluation.model_path,
            is_run=run_path is not None,
            num_folds=metrics.get("num_folds"),
        ),
        "quantization": model_files.read_quantization(evaluation.model_path),
        "settings": list(metrics.get("versions", {}).items()),
    }
    if run_path is not None:
        values.update(model_card.read_facts(run_path, metrics))
    if evaluation.task.is_multiclass:
        template = "report.html"
        values.update(_classification_values(evaluations, drawn, findings))
        values["sections"] = _sections(values)
    else:
        template = "plain_report.html"
        values.update(_plain_values(evaluations, drawn, answer_rows))
    environment = model_card.build_environment()
    run_dir.write_text(
        os.path.join(folder, run_dir.REPORT),
        environment.get_template(template).render(values),
    )


def _classification_values(evaluations, drawn, findings) -> dict:
    """Returns what the page of a classification shows besides."""
    evaluation, *others = evaluations
    metrics, class_names = evaluation.metrics, evaluation.class_names
    captions = {
        "learning_curves": "Validation behind training is overfitting.",
        **{name: caption for name, (_, caption) in plots.PLOTS.items()},
    }
    # It has a section of its own.
    matrix_caption = captions.pop("confusion_matrix")
    values = {
        "subtitle": _subtitle(metrics),
        "verdict": interpretation.interpret(metrics, split=evaluation.title),
        "metric_rows": _metric_rows(metrics, [one.metrics for one in others]),
        "baselines": [
            title
            for key, title in _BASELINES.items()
            if key in metrics["baselines"]
        ],
        "plots": [
            {"svg": to_svg(drawn, name), "caption": caption}
            for name, caption in captions.items()
            if name in drawn
        ],
        "confusion_svg": to_svg(drawn, "confusion_matrix"),
        "confusion_caption": matrix_caption
        if len(class_names) > confusion.LARGE_CELLS
        else None,
        "confused": interpretation.confused_pairs(
            metrics["confusion_matrix"], class_names, _MOST_CONFUSED
        )
        if len(class_names) > 2
        else [],
        "findings": findings,
        "label_issues": _label_issues(findings),
        "suffix": evaluation.suffix,
    }
    if evaluation.positive is not None:
        scores = evaluation.positive_scores()
        table = metric_intervals.threshold_table(*scores)
        values["threshold_rows"] = table.replace({np.nan: None}).to_dict(
            "records"
        )
        values["threshold_points"] = _points(*scores)
    return values


def _label_issues(findings: Findings) -> list[dict]:
    """Returns what is shown of each kind of issue."""
    table = findings.label_issues
    if table is None:
        return []
    found = []
    for issue, title in label_issues.TITLES.items():
        rows = table[table["issue"] == issue]
        shown = rows.head(_MOST_ISSUES).to_dict("records")
        found.append({"title": title, "count": len(rows), "rows": shown})
        for row in shown:
            texts = [row["text"], row["text_pair"]]
            text = " | ".join(text for text in texts if text is not None)
            row["text"] = shorten(text, _TEXT_WIDTH)
    return found


def _sections(values: dict) -> list[tuple[str, str]]:
    """Returns anchor and name of the sections that the page has."""
    return [
        (anchor, name)
        for anchor, name, key in (
            ("verdict", "Verdict", None), ("plots", "Plots", None),
            ("confusion", "Confusion", None), ("classes", "Classes", None),
            ("thresholds", "Thresholds", "threshold_rows"),
            ("training", "Training", "history"), ("texts", "Texts", None),
            ("label-issues", "Label issues", "label_issues"),
            ("samples", "Samples", None), ("data", "Data", "data_splits"),
            ("quantization", "8 bits", "quantization"),
            ("commands", "What next", None), ("settings", "Settings", None),
        )
        if key is None or values.get(key)
    ]  # fmt: skip


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
        number = metrics["best"]["epoch"]
        probe = "" if number else ", the linear probe"
        phrases.append(f"weights of epoch {number}{probe}")
    return ", ".join(phrases)


def _metric_rows(metrics: dict, others: Sequence[dict]) -> list[dict]:
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
                "baselines": [
                    baselines[name].get(key)
                    for name in _BASELINES
                    if name in baselines
                ],
                "others": [other[full] for other in others],
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


def commands(
    model_path: str, *, is_run: bool, num_folds: int | None = None
) -> Sequence[tuple[str, str]]:
    """Returns what to do next, and how.

    Args:
        num_folds: where `model_path` is a folder of so many.
    """
    python = f"{os.path.basename(sys.executable)} -m pipelines"
    if num_folds is not None:
        return [
            (
                "Find labels that may be wrong, with the same flags:",
                f"{python}.label_issues --train_file=FILE.csv "
                f"--output_dir={shlex.quote(model_path)} "
                f"--num_folds={num_folds}",
            )
        ]
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


def _plain_values(evaluations, drawn, answer_rows) -> dict:
    """Returns what the page of any other task shows besides."""
    evaluation = evaluations[0]
    task, metrics = evaluation.task, evaluation.metrics
    texts = list(zip(*examples_lib.segments(evaluation.examples), strict=True))
    picked = np.linspace(0, len(texts) - 1, min(_SAMPLES, len(texts)))
    return {
        "subtitle": (
            f"{task.name.replace('_', ' ')}, {metrics['eval_samples']:,} "
            f"examples, {metrics['eval_samples_per_second']:,.0f} a second in "
            "evaluation"
        ),
        "split": evaluation.title,
        "metric_rows": [
            {
                "name": title,
                "interval": metrics["confidence_intervals"].get(key),
                "values_": [one.metrics[key] for one in evaluations],
            }
            for title, key in task.metric_rows
        ],
        "curves_svg": to_svg(drawn, "learning_curves")
        if "learning_curves" in drawn
        else None,
        "answer_columns": task.answer_columns,
        "samples": [
            {
                "text": shorten(" | ".join(texts[row]), _TEXT_WIDTH),
                "label": shorten(
                    evaluation.examples["label"].iloc[row], _TEXT_WIDTH
                ),
                "answer": [
                    shorten(cell, _TEXT_WIDTH) for cell in answer_rows[row][0]
                ],
            }
            for row in picked.astype(int)
        ],
    }
