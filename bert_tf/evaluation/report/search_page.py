"""Writes search.html: what a search has found, and how sure that is."""

import os
from collections.abc import Mapping
from typing import Any

import optuna
import pandas as pd
from matplotlib.figure import Figure
from optuna.importance import FanovaImportanceEvaluator
from optuna.study import StudyDirection
from optuna.trial import TrialState

from bert_tf import run_dir
from bert_tf.config import search_space
from bert_tf.evaluation.plots import search_plots
from bert_tf.evaluation.report import html_report, model_card

PAGE = "search.html"
# Of fewer neither plot says anything.
_FEWEST_TRIALS = 3


def describe_values(values: Mapping[str, Any]) -> str:
    """Returns settings as flags, numbers to three digits."""
    shown = {
        name: f"{value:.3g}" if isinstance(value, float) else value
        for name, value in values.items()
        # Of --trainable_layers, which is then not given.
        if value != search_space.ALL_LAYERS
    }
    return " ".join(f"--{name}={value}" for name, value in shown.items())


def verdict(summary: Mapping[str, Any]) -> str:
    """Says in a sentence or two whether a search was worth it.

    Args:
        summary: what search.json holds.
    """
    metric, trials = summary["metric"], summary["num_trials"]
    if summary["best_trial"] is None:
        return (
            f"None of {trials} trials came to its end: the defaults stay "
            f"(validation {metric} {summary['default']:.4f})."
        )
    gain, error = summary["gain"], summary["standard_error"]
    needed = summary["gain_beyond_noise"]
    found = (
        f"The best of {trials} trials, number {summary['best_trial']}, has a "
        f"validation {metric} of {summary['best']:.4f}, the defaults "
        f"{summary['default']:.4f}: "
    )
    if gain <= 0:
        return f"{found}not better, so the defaults stay."
    found += f"better by {gain:.4f} (standard error {error:.4f}). "
    if gain > needed:
        return (
            f"{found}That is beyond noise, so it is chosen: the best of so "
            f"many is better by {needed:.4f} by chance once in twenty searches."
        )
    return (
        f"{found}That may be chance, so the defaults stay: the best of so many "
        f"would have to be better by {needed:.4f}. More validation rows tell "
        "smaller gains."
    )


def write_page(
    folder: str, study: optuna.Study, summary: Mapping[str, Any]
) -> None:
    """Writes search.html to a search's folder."""
    trials = study.get_trials(deepcopy=False)
    drawn = _draw(study, summary["metric"])
    values = {
        "title": f"{os.path.basename(os.path.normpath(folder))}, a search",
        "subtitle": f"{summary['num_trials']} trials beside the defaults",
        "verdict": verdict(summary),
        "metric": summary["metric"],
        "default": summary["default"],
        "trials": [
            {
                "number": trial.number,
                "state": trial.state.name.lower(),
                "value": trial.value,
                "settings": describe_values(trial.params),
                "error": trial.user_attrs.get("error", ""),
                "is_best": trial.number == summary["best_trial"],
            }
            for trial in trials
            if trial.state.is_finished()
        ],
        "plots": [html_report.to_svg(drawn, name) for name in drawn],
        "commands": html_report.commands(summary["chosen"], is_run=True),
        "settings": [],
    }
    page = model_card.build_environment().get_template("search.html")
    run_dir.write_text(os.path.join(folder, PAGE), page.render(values))


def _draw(study: optuna.Study, metric: str) -> dict[str, Figure]:
    """Returns the plots, where there are trials enough."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(trials) < _FEWEST_TRIALS or len({one.value for one in trials}) < 2:
        return {}
    is_less_better = study.direction == StudyDirection.MINIMIZE
    trials.sort(key=lambda one: one.value, reverse=not is_less_better)
    table = pd.DataFrame([{**one.params, metric: one.value} for one in trials])
    varied = [name for name in table if table[name].nunique() > 1]
    return {
        "importance": search_plots.importance(
            # With a seed of its own, so that a page is drawn again as it was.
            optuna.importance.get_param_importances(
                study, evaluator=FanovaImportanceEvaluator(seed=0)
            )
        ),
        "trials": search_plots.parallel_coordinates(table[varied], metric),
    }
