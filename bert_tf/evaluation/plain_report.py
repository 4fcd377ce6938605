"""report.html and README.md of tasks that have no confusion matrix."""

import os
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bert_tf import run_dir
from bert_tf.data import examples as examples_lib
from bert_tf.errors import shorten
from bert_tf.evaluation import model_card, page, run_facts
from bert_tf.tasks.answers import Cells
from bert_tf.tasks.task import Task

_SAMPLES = 40
_TEXT_WIDTH = 300


def write_page(
    folder: str,
    *,
    task: Task,
    part: str,
    metrics: dict,
    examples: pd.DataFrame,
    cells: Sequence[Cells],
    curves: Figure | None,
    run_path: str | None,
    model_path: str,
    other_parts: Mapping[str, dict],
) -> None:
    """Writes report.html, which loads nothing from anywhere.

    Args:
        folder: where to.
        task: the model's.
        part: what was evaluated, e.g. "the test part".
        metrics: what metrics.json of that part holds.
        examples: its rows.
        cells: the answers to them.
        curves: the learning curves.
        run_path: the run folder; None where a SavedModel was evaluated.
        model_path: what --model was, for the commands.
        other_parts: metrics of other parts, to be shown beside.
    """
    picked = np.linspace(0, len(examples) - 1, min(_SAMPLES, len(examples)))
    name = os.path.basename(os.path.normpath(model_path))
    values = {
        "title": f"{name}, {part}",
        "subtitle": (
            f"{task.name.replace('_', ' ')}, {metrics['eval_samples']:,} "
            f"examples, {metrics['eval_samples_per_second']:,.0f} a second in "
            "evaluation"
        ),
        "part": part,
        "bootstrap_samples": metrics["bootstrap_samples"],
        "other_parts": list(other_parts),
        "metric_rows": [
            {
                "name": title,
                "interval": metrics["confidence_intervals"].get(key),
                "values_": [
                    one[key] for one in (metrics, *other_parts.values())
                ],
            }
            for title, key in task.metric_rows
        ],
        "alarms": metrics.get("alarms", []),
        "curves_svg": page.to_svg({"c": curves}, "c") if curves else None,
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
                    shorten(cell, _TEXT_WIDTH) for cell in cells[row][0]
                ],
            }
            for row in picked.astype(int)
        ],
        "commands": page.commands(model_path, is_run=run_path is not None),
    }
    if run_path is not None:
        values.update(run_facts.read_facts(run_path, metrics))
    values.setdefault("settings", list(metrics.get("versions", {}).items()))
    template = page.build_environment().get_template("plain_report.html")
    run_dir.write_text(
        os.path.join(folder, run_dir.REPORT), template.render(values)
    )


def write_card(folder: str, metrics: dict, task: Task, *, part: str) -> None:
    """Writes the model card of a run, as `model_card.write_card` does."""
    tags = [task.name.replace("_", "-"), "bert", "tensorflow", "keras"]
    model_card.render(
        "plain_card.md",
        folder,
        model_card.read_config(folder),
        metrics,
        {"tags": tags},
        part=part,
        task=task.name,
        rows=task.metric_rows,
    )
