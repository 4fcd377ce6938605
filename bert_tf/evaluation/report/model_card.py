"""Writes README.md, a model card for model hubs."""

import os
import re
import shlex

import jinja2
import pandas as pd
import yaml

from bert_tf import run_dir
from bert_tf.config.training import TrainConfig
from bert_tf.data import data_report
from bert_tf.errors import list_some
from bert_tf.evaluation.evaluate import Evaluation
from bert_tf.evaluation.report import interpretation

# What the hubs call our metrics, in the order in which a card lists them.
_HUB_METRICS = {
    "accuracy": "eval_accuracy",
    "f1": "eval_f1",
    "matthews_correlation": "eval_matthews_correlation",
    "roc_auc": "eval_roc_auc",
}
# Checkpoints whose licence is known without a network.
_KNOWN_BASES = {
    "minilm_l6_en_uncased": (
        "sentence-transformers/all-MiniLM-L6-v2",
        "apache-2.0",
    )
}
_MOST_CLASSES = 100
_TEMPLATES = os.path.join(os.path.dirname(__file__), "templates")


def write_card(folder: str, evaluation: Evaluation, *, split: str) -> None:
    """Writes the model card of a run.

    Args:
        folder: the run folder, with its config.json and data_report.json.
        evaluation: the one reported, completed.
        split: test or validation.
    """
    config = TrainConfig.read(folder)
    task, metrics = evaluation.task, evaluation.metrics
    if not task.is_multiclass:
        tags = [task.name.replace("_", "-"), "bert", "tensorflow", "keras"]
        render(
            "plain_card.md", folder, config, metrics, {"tags": tags},
            split=split, task=task.name, rows=task.metric_rows,
        )  # fmt: skip
        return
    front = {
        "pipeline_tag": "text-classification",
        "tags": ["text-classification", "bert", "tensorflow", "keras"],
        "metrics": [
            key for key, full in _HUB_METRICS.items()
            if metrics[full] is not None
        ],
        "model-index": [_index_entry(_name(config), metrics, config, split)],
    }  # fmt: skip
    render(
        "model_card.md", folder, config, metrics, front,
        split=split,
        rows=[
            (title, interpretation.describe_interval(metrics, key))
            for title, key in (
                ("accuracy", "eval_accuracy"), ("F1", "eval_f1"),
                ("F1, macro", "eval_f1_macro"),
                ("Matthews correlation", "eval_matthews_correlation"),
                ("ROC AUC", "eval_roc_auc"), ("cross-entropy", "eval_loss"),
            )
        ],
        sentences=interpretation.interpret(metrics, split=evaluation.title),
        classes=metrics["labels"][:_MOST_CLASSES],
        more_classes=max(0, len(metrics["labels"]) - _MOST_CLASSES),
    )  # fmt: skip


def _name(config: TrainConfig) -> str:
    return os.path.basename(os.path.normpath(config.output_dir))


def render(
    template: str,
    folder: str,
    config: TrainConfig,
    metrics: dict,
    front: dict,
    **values,
) -> None:
    """Writes README.md of a run from a template.

    Args:
        template: its name; it extends card.md.
        config: its settings.
        metrics: of the split reported.
        front: what hubs read, besides the checkpoint, licence and language.
        values: what the template needs besides.
    """
    base, license_name = base_and_license(config.preset)
    front = {
        "language": language(config.preset),
        "license": license_name,
        **({"base_model": base} if base else {}),
        **front,
    }
    text = build_environment().get_template(template).render(
        front=yaml.safe_dump(front, sort_keys=False, allow_unicode=True),
        name=_name(config),
        run=shlex.quote(config.output_dir),
        export_name=export_name(config.output_dir),
        config=config,
        base=base or config.preset,
        license=license_name,
        metrics=metrics,
        data=run_dir.read_json(os.path.join(folder, run_dir.DATA_REPORT)),
        files=[
            os.path.basename(path)
            for path in (*config.train_file, *config.validation_file,
                         *config.test_file)
        ],
        **values,
    )  # fmt: skip
    run_dir.write_text(os.path.join(folder, run_dir.MODEL_CARD), text)


def base_and_license(preset: str) -> tuple[str | None, str]:
    """Returns a checkpoint's name on a model hub, if known, and its licence."""
    base, license_name = _KNOWN_BASES.get(preset, (None, "unknown"))
    if base is None and preset.startswith("hf://"):
        base = preset.removeprefix("hf://")
    return base, license_name


def language(preset: str) -> str:
    """Returns the language that a checkpoint's name tells, else "und".

    KerasNLP names it (`bert_base_en_uncased`), "und" is ISO 639's code for
    undetermined.
    """
    if "multi" in preset.lower():
        return "multilingual"
    match = re.search(r"_(en|zh|ar|cs|de|es|fr|ja|ko|pt|ru)(_|$)", preset)
    return match.group(1) if match else "und"


def _index_entry(name, metrics, config, split) -> dict:
    return {
        "name": name,
        "results": [
            {
                "task": {"type": "text-classification"},
                "dataset": {
                    "name": ", ".join(
                        os.path.basename(path)
                        for path in (
                            config.test_file if split == "test"
                            else config.validation_file or config.train_file
                        )
                    ),
                    "type": "csv",
                    "split": split,
                },
                "metrics": [
                    {"type": key, "value": round(metrics[full], 6)}
                    for key, full in _HUB_METRICS.items()
                    if metrics[full] is not None
                ],
            }
        ],
    }  # fmt: skip


def read_facts(path: str, metrics: dict) -> dict:
    """Returns settings, epochs and data of a run as report.html shows them.

    Args:
        metrics: of the evaluation that is reported; `best` names the epoch.
    """
    config = TrainConfig.read(path)
    history = pd.read_csv(os.path.join(path, run_dir.HISTORY))
    report = run_dir.read_json(os.path.join(path, run_dir.DATA_REPORT))
    versions = run_dir.read_json(os.path.join(path, run_dir.VERSIONS))
    metric = config.metric_for_best_model
    # An evaluation of another file has no `best` of its own.
    best = metrics.get("best") or {"epoch": None}
    settings = {
        name: ", ".join(value) if isinstance(value, tuple) else value
        for name, value in config.to_json().items()
        if value not in (None, ())
    }
    return {
        "history": _history_rows(
            history, metric, best["epoch"], report["parts"]["train"]["rows"]
        ),
        "history_metric": metric,
        "data_splits": [
            {
                "name": name,
                "rows": one["rows"],
                "duplicates": one.get("duplicates"),
                "contradictions": one.get("contradictions"),
                "classes": list_some(
                    [
                        f"{label} {count:,} ({count / one['rows']:.1%})"
                        for label, count in one["classes"].items()
                    ],
                    8,
                ),
                "files": ", ".join(map(str, one["files"])),
            }
            for name, one in report["parts"].items()
        ],
        "data_lines": _data_lines(report),
        "settings": [*settings.items(), *versions.items()],
    }


def _history_rows(history, metric, best_epoch, train_rows) -> list[dict]:
    rows = []
    before = 0.0
    for _, epoch in history.iterrows():
        # Runs of earlier versions have no times.
        end = epoch.get("train_runtime")
        seconds = None if end is None else end - before
        value = epoch.get(f"eval_{metric}")
        rows.append(
            {
                "epoch": int(epoch["epoch"]),
                "loss": epoch["loss"],
                "accuracy": epoch.get("accuracy"),
                "eval_loss": epoch["eval_loss"],
                "metric": None if value is None or value != value else value,
                "learning_rate": epoch["learning_rate"],
                # Epoch 0, the linear probe, takes no steps.
                "rate": train_rows / seconds
                if seconds and epoch["epoch"]
                else None,
                "time": "" if seconds is None else _minutes(seconds),
                "is_best": int(epoch["epoch"]) == best_epoch,
            }
        )
        if end is not None:
            before = end + epoch["eval_runtime"]
    return rows


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"


def _data_lines(report: dict) -> list[str]:
    tokens = report["tokens"]
    lines = [
        f"Tokens a text: median {tokens['percentile_50']}, 95% up to "
        f"{tokens['percentile_95']}, longest {tokens['percentile_100']}.",
        f"{report['truncated']:,} texts ({report['truncated_share']:.1%}) are "
        f"cut at {report['max_seq_length']} tokens; "
        f"{data_report.describe_recommended(report)}.",
    ]
    for names, count in report["shared_texts"].items():
        if count:
            lines.append(
                f"{count:,} texts of {names} are equal: that makes the figures "
                "too good."
            )
    return lines


def build_environment() -> jinja2.Environment:
    """Returns where the templates are; what they are given is escaped."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=lambda name: name.endswith(".html"),
        trim_blocks=True,
        lstrip_blocks=True,
    )


def export_name(path: str) -> str:
    """Returns a name that pipelines.export takes for the model of a run."""
    return "".join(
        letter if letter.isascii() and letter.isalnum() else "_"
        for letter in os.path.basename(os.path.normpath(path))
    )
