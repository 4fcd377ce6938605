"""Several trainings in one folder, and what their metrics have in common."""

import gc
import os
from collections.abc import Callable, Sequence

import keras
import numpy as np
from absl import logging

from bert_tf import run_dir
from bert_tf.config.training import TrainConfig
from bert_tf.data.splits import Splits
from bert_tf.errors import InputError
from bert_tf.training import strategy as strategy_lib
from bert_tf.training import train as train_lib

_METRICS = (
    "eval_accuracy", "eval_f1", "eval_f1_macro", "eval_f1_weighted",
    "eval_matthews_correlation", "eval_roc_auc", "eval_loss",
    "eval_expected_calibration_error",
)  # fmt: skip


def check(config: TrainConfig, flag: str) -> None:
    """Raises InputError where a flag's trainings cannot follow one another."""
    run_dir.check_is_local(config.output_dir)
    if (
        strategy_lib.count_workers() > 1
        or config.distribution_strategy == "multi_worker"
    ):
        raise InputError(
            f"{flag} trains in one process, and there are several workers"
        )


def train(
    config: TrainConfig, read: Callable[[], Splits], *, title: str
) -> None:
    """Trains, unless this very training is there and finished.

    Args:
        read: gives its splits.
        title: of the training, for the log.

    Raises:
        InputError: see `train.train`; or a finished run has other settings.
    """
    if _is_finished(config):
        logging.info("%s is finished already.", config.output_dir)
        return
    logging.info("%s", title)
    train_lib.train(read(), config)
    forget_model()


def forget_model() -> None:
    """Frees what a training leaves, before the next one."""
    # Keras keeps every model's graph until told otherwise, and its models are
    # cycles.
    keras.backend.clear_session()
    gc.collect()


def _is_finished(config: TrainConfig) -> bool:
    """Whether this very training is there; InputError where another is."""
    folder = config.output_dir
    if config.overwrite_output_dir or not os.path.exists(
        os.path.join(folder, run_dir.METRICS)
    ):
        return False
    saved = TrainConfig.read(folder).result_settings()
    given = config.result_settings()
    # What was None or auto has been decided since.
    other = [
        name
        for name, value in given.items()
        if value not in (None, "auto", [], saved[name])
    ]
    if other:
        raise InputError(
            f"{folder} holds a finished run with another "
            f"{', '.join(f'--{name}' for name in other)}; name another "
            "--output_dir, or pass --overwrite_output_dir"
        )
    return True


def summarize(folders: Sequence[str], file: str) -> dict | None:
    """Returns mean, standard deviation and values of each metric.

    The deviation is that of a sample: divided by N - 1.

    Args:
        folders: of finished runs.
        file: of the metrics; None is returned where it is not there.
    """
    paths = [os.path.join(folder, file) for folder in folders]
    if not os.path.exists(paths[0]):
        return None
    runs = [run_dir.read_json(path) for path in paths]
    summary = {}
    for name in _metric_names(runs[0]):
        values = [metrics[name] for metrics in runs]
        defined = [value for value in values if value is not None]
        summary[name] = {
            "mean": float(np.mean(defined)) if defined else None,
            "standard_deviation": float(np.std(defined, ddof=1))
            if len(defined) > 1
            else None,
            "values": values,
        }
    return summary


def _metric_names(metrics: dict) -> list[str]:
    """Returns the metrics of a classification, or all of another task."""
    if all(name in metrics for name in _METRICS):
        return list(_METRICS)
    return [
        name
        for name, value in metrics.items()
        if name.startswith("eval_")
        and not name.endswith(("_runtime", "_samples", "_per_second"))
        and (value is None or isinstance(value, float))
    ]


def describe(summary: dict, title: str) -> str:
    """Returns what `summarize` does as a table for a terminal."""
    lines = [
        f"{title}{'mean':>22}{'std. dev.':>12}{'lowest':>10}{'highest':>10}"
    ]
    for name, values in summary.items():
        defined = [v for v in values["values"] if v is not None]
        if len(defined) < 2:
            continue
        lines.append(
            f"  {name.removeprefix('eval_'):<{len(title) + 10}}"
            f"{values['mean']:>10.4f}"
            f"{values['standard_deviation']:>12.4f}"
            f"{min(defined):>10.4f}{max(defined):>10.4f}"
        )
    return "\n".join(lines)
