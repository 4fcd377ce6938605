"""Searches for settings with Optuna (the extra `search`).

Trials are drawn by a tree-structured Parzen estimator (Bergstra et al. 2011),
and pruned where an epoch is below the median of the others'.
"""

import dataclasses
import os
import shutil
import time
from typing import Any

import keras
import numpy as np
import optuna
import pandas as pd
from absl import logging
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from scipy import stats

from bert_tf import run_dir
from bert_tf.config import search_space
from bert_tf.config.search_space import SearchConfig
from bert_tf.config.training import SELECTION_METRICS, TrainConfig
from bert_tf.data.splits import Splits
from bert_tf.errors import InterruptedTrainingError
from bert_tf.evaluation import intervals
from bert_tf.evaluation.report import search_page
from bert_tf.tasks.base import probability_columns
from bert_tf.training import checkpoints, repeated
from bert_tf.training import train as train_lib

SUMMARY = "search.json"
TRIALS = "trials.csv"
_DATA = "search_data.json"
_JOURNAL = "optuna_journal.log"
_DEFAULT = "default"
# Two trials of one epoch tell no median.
_TRIALS_BEFORE_PRUNING, _EPOCHS_BEFORE_PRUNING = 4, 1
_OVER = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
_ALPHA = 0.05


class _Pruning(keras.callbacks.Callback):
    """Reports each epoch to the study; ends trials that are not worth it."""

    def __init__(self, trial: optuna.Trial, metric: str, deadline: float):
        super().__init__()
        self._trial, self._deadline = trial, deadline
        self._metric = f"eval_{metric}"

    def on_epoch_end(self, epoch, logs=None):
        """Raises TrialPruned where the trial is to end."""
        # The linear probe is epoch -1 here.
        if self._metric in logs:
            self._trial.report(logs[self._metric], epoch + 1)
        if self._trial.should_prune() or time.monotonic() > self._deadline:
            raise optuna.TrialPruned


def search(splits: Splits, config: TrainConfig, search: SearchConfig) -> dict:
    """Trains with the defaults and with others, and says which are better.

    Each training is a run folder below config.output_dir: `default`, and
    `trial_N`, of which only the best has weights. A search that was killed
    goes on where it was.

    Args:
        splits: without a test split, so that nothing is chosen by one.
        config: every setting; those left open are varied.
        search: how many trials, of what.

    Returns:
        What search.json holds: the metric, the best trial, whether it is
        chosen, and the run folder that is.

    Raises:
        InputError: the training with the defaults does; or the folder has a
            search of other rows or settings.
    """
    repeated.check(config, "pipelines.search")
    search.grid(config)
    _check_same(splits, config, search)
    config = dataclasses.replace(config, overwrite_output_dir=False)
    with run_dir.locked_folder(config.output_dir, config.output_dir):
        return _search(splits, config, search)


def _search(splits: Splits, config: TrainConfig, search: SearchConfig) -> dict:
    folder, start = config.output_dir, time.monotonic()
    default = dataclasses.replace(
        config, output_dir=os.path.join(folder, _DEFAULT)
    )
    repeated.train(default, lambda: splits, title="The defaults")
    metric = TrainConfig.read(default.output_dir).metric_for_best_model
    config = dataclasses.replace(config, metric_for_best_model=metric)
    backbone = run_dir.read_json(
        os.path.join(default.output_dir, run_dir.BACKBONE)
    )
    grid = search.grid(config)
    study = _open_study(folder, metric, grid, seed=config.seed)
    num_trials = search.num_trials or len(grid) or search_space.NUM_TRIALS
    used = study.user_attrs.get("seconds", 0.0)
    deadline = np.inf
    if search.seconds is not None:
        deadline = start + search.seconds - used
    while trial := _next_trial(study, num_trials, deadline):
        one = search_space.suggest(
            trial,
            search,
            dataclasses.replace(
                config, output_dir=_folder_of(folder, trial.number)
            ),
            num_layers=backbone["num_layers"],
        )
        logging.info(
            "Trial %d, %d of %d: %s",
            trial.number,
            _count_over(study) + 1,
            num_trials,
            search_page.describe_values(trial.params),
        )
        _train(splits, one, study, trial, metric, deadline)
        seconds = used + time.monotonic() - start
        study.set_user_attr("seconds", seconds)
        _clean_up(folder, study)
        _write_trials(folder, study, metric)
    summary = _summarize(folder, study, metric)
    run_dir.write_json(os.path.join(folder, SUMMARY), summary)
    _write_trials(folder, study, metric)
    search_page.write_page(folder, study, summary)
    return summary


def _check_same(
    splits: Splits, config: TrainConfig, search: SearchConfig
) -> None:
    """Raises InputError where the folder has another search."""
    folder = config.output_dir
    path = os.path.join(folder, _DATA)
    current = {
        **config.result_settings(),
        "space": search.space,
        "presets": list(search.presets),
        "rows": {
            name: checkpoints.digest(rows)
            for name, rows in splits.frames.items()
        },
    }
    if os.path.exists(path) and not config.overwrite_output_dir:
        checkpoints.check_same("search", run_dir.read_json(path), current)
        return
    if os.path.exists(path):
        shutil.rmtree(folder)
    run_dir.check_new_dir(folder)
    os.makedirs(folder, exist_ok=True)
    run_dir.write_json(path, current)


def _open_study(
    folder: str, metric: str, grid: list[dict], *, seed: int
) -> optuna.Study:
    """Opens the folder's study, or makes it, with the trials of a grid."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    backend = JournalFileBackend(os.path.join(folder, _JOURNAL))
    study = optuna.create_study(
        study_name="search",
        storage=optuna.storages.JournalStorage(backend),
        # What was drawn before is not drawn again.
        sampler=optuna.samplers.TPESampler(seed=_seed_of(folder, seed)),
        pruner=optuna.pruners.MedianPruner(
            _TRIALS_BEFORE_PRUNING, _EPOCHS_BEFORE_PRUNING
        ),
        direction="maximize" if SELECTION_METRICS[metric] else "minimize",
        load_if_exists=True,
    )
    for values in grid:
        study.enqueue_trial(values, skip_if_exists=True)
    return study


def _seed_of(folder: str, seed: int) -> int:
    """Returns another seed for each start."""
    path = os.path.join(folder, _JOURNAL)
    size = os.path.getsize(path) if os.path.exists(path) else 0
    return (seed + size) % 2**32


def _next_trial(
    study: optuna.Study, num_trials: int, deadline: float
) -> optuna.Trial | None:
    """Returns the trial that a kill interrupted, or a new one; or None."""
    for unfinished in study.get_trials(states=(TrialState.RUNNING,)):
        return optuna.Trial(study, unfinished._trial_id)
    if _count_over(study) >= num_trials or time.monotonic() > deadline:
        return None
    return study.ask()


def _count_over(study: optuna.Study) -> int:
    return len(study.get_trials(deepcopy=False, states=_OVER))


def _train(
    splits: Splits,
    config: TrainConfig,
    study: optuna.Study,
    trial: optuna.Trial,
    metric: str,
    deadline: float,
) -> None:
    """Trains a trial and tells the study how it ended."""
    try:
        value = _value(config.output_dir, metric)
        if value is None:
            callbacks = [_Pruning(trial, metric, deadline)]
            train_lib.train(splits, config, callbacks)
            value = _value(config.output_dir, metric)
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except InterruptedTrainingError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, others follow
        logging.warning("Trial %d failed: %s", trial.number, error)
        trial.set_user_attr("error", f"{type(error).__name__}: {error}")
        study.tell(trial, state=TrialState.FAIL)
    else:
        if value is None:
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, value)
    repeated.forget_model()


def _value(path: str, metric: str) -> float | None:
    """Returns the metric of a run; None where it is undefined or unfinished."""
    path = os.path.join(path, run_dir.METRICS)
    if not os.path.exists(path):
        return None
    return run_dir.read_json(path)[f"eval_{metric}"]


def _folder_of(folder: str, number: int) -> str:
    return os.path.join(folder, f"trial_{number}")


def _best(study: optuna.Study) -> FrozenTrial | None:
    """Returns the best trial; of equal ones the first."""
    is_complete = study.get_trials(states=(TrialState.COMPLETE,))
    return study.best_trial if is_complete else None


def _clean_up(folder: str, study: optuna.Study) -> None:
    """Deletes the weights of all trials but the best."""
    best = _best(study)
    for trial in study.get_trials(deepcopy=False, states=_OVER):
        if best is None or trial.number != best.number:
            path = os.path.dirname(
                run_dir.weights(_folder_of(folder, trial.number))
            )
            shutil.rmtree(path, ignore_errors=True)


def _write_trials(folder: str, study: optuna.Study, metric: str) -> None:
    """Writes trials.csv: the defaults, and a row for each trial."""
    rows = [
        {
            "trial": _DEFAULT,
            "state": "complete",
            metric: _value(os.path.join(folder, _DEFAULT), metric),
            **_settings_of(os.path.join(folder, _DEFAULT), study),
        }
    ]
    for trial in study.get_trials(deepcopy=False, states=_OVER):
        seconds = trial.duration.total_seconds() if trial.duration else None
        rows.append(
            {
                "trial": trial.number,
                "state": trial.state.name.lower(),
                metric: trial.value,
                "seconds": seconds,
                "epochs": len(trial.intermediate_values) or None,
                **trial.params,
                "error": trial.user_attrs.get("error"),
            }
        )
    text = pd.DataFrame(rows).to_csv(index=False)
    run_dir.write_text(os.path.join(folder, TRIALS), text)


def _settings_of(path: str, study: optuna.Study) -> dict[str, Any]:
    """Returns what the defaults are of the settings that are varied."""
    trials = study.get_trials(deepcopy=False)
    names = sorted({name for trial in trials for name in trial.params})
    config = TrainConfig.read(path).to_json()
    return {name: config[name] for name in names if config[name] is not None}


def _summarize(folder: str, study: optuna.Study, metric: str) -> dict:
    """Compares the best trial with the defaults, and chooses one of them."""
    default, best = os.path.join(folder, _DEFAULT), _best(study)
    count = _count_over(study)
    summary = {
        "schema_version": 1,
        "metric": metric,
        "num_trials": count,
        "default": _value(default, metric),
        "best_trial": None,
        "best": None,
        "chosen": default,
    }
    if best is None:
        return summary
    path = _folder_of(folder, best.number)
    sign = 1 if SELECTION_METRICS[metric] else -1
    gain, error = compare(path, default, metric)
    # The best of so many equal trials is better by this once in twenty
    # searches (Bonferroni).
    needed = stats.norm.ppf(1 - _ALPHA / count) * error
    return summary | {
        "best_trial": best.number,
        "best": best.value,
        "params": best.params,
        "gain": sign * gain,
        "standard_error": error,
        "gain_beyond_noise": needed,
        "chosen": path if sign * gain > needed else default,
    }


def compare(first: str, second: str, metric: str) -> tuple[float, float]:
    """Returns by how much a run's metric is above another's, and an error.

    Args:
        first, second: run folders with one validation split.

    Returns:
        The difference and its standard error: of a classification by a paired
        bootstrap over the rows, else that of the second run's interval.
    """
    key = f"eval_{metric}"
    runs = [
        run_dir.read_json(os.path.join(path, run_dir.METRICS))
        for path in (first, second)
    ]
    difference = runs[0][key] - runs[1][key]
    if TrainConfig.read(second).task != "classification":
        low, high = runs[1]["confidence_intervals"][key]
        return difference, (high - low) / 2 / stats.norm.ppf(0.975)
    samples = [
        _resampled(path, metrics)[key]
        for path, metrics in zip((first, second), runs, strict=True)
    ]
    return difference, float(np.nanstd(samples[0] - samples[1]))


def _resampled(path: str, metrics: dict) -> dict[str, np.ndarray]:
    """Returns a classification's metrics of rows drawn with replacement."""
    table = pd.read_csv(
        os.path.join(path, run_dir.PREDICTIONS),
        dtype=str,
        keep_default_na=False,
    )
    names = metrics["labels"]
    return intervals.bootstrap_metrics(
        pd.Index(names).get_indexer(table["true_label"]),
        table[list(probability_columns(names))].to_numpy(float),
        names,
        positive=metrics.get("positive_class"),
    )
