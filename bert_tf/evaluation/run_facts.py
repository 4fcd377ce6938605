"""What a run folder tells of its training: settings, epochs and data."""

import os

import pandas as pd

from bert_tf import run_dir
from bert_tf.config.training import TrainConfig
from bert_tf.errors import list_some


def read_facts(path: str, metrics: dict) -> dict:
    """Returns settings, epochs and data of a run as report.html shows them.

    Args:
        path: the run folder.
        metrics: of the evaluation that is reported; `best` names the epoch.
    """
    config = TrainConfig.from_json(
        run_dir.read_json(os.path.join(path, run_dir.CONFIG))
    )
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
        "data_parts": [
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
                "rate": train_rows / seconds if seconds else None,
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
        f"{report['recommended_max_seq_length']} would leave 99% whole.",
    ]
    for names, count in report["shared_texts"].items():
        if count:
            lines.append(
                f"{count:,} texts of {names} are equal: that makes the figures "
                "too good."
            )
    return lines
