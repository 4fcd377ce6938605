"""What matters in a search, and which settings its trials had."""

from collections.abc import Mapping

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bert_tf.evaluation.plots import figures
from bert_tf.evaluation.plots.figures import INK

_BAR_HEIGHT = 0.32
_AXIS_WIDTH = 1.15
_LOGARITHMIC = ("learning_rate",)


def importance(importances: Mapping[str, float]) -> Figure:
    """Draws by how much each setting decides how good a trial is.

    Args:
        importances: by setting, of all trials together 1.
    """
    names = list(importances)[::-1]
    height = 0.9 + _BAR_HEIGHT * len(names)
    figure = figures.new_figure(6.4, height, left=2.5, bottom=0.55)
    with figures.style():
        axes = figure.subplots()
        bars = axes.barh(
            names,
            [importances[name] for name in names],
            color=figures.COLORS[0],
        )
        axes.bar_label(bars, fmt="%.2f", padding=4)
        axes.set_xlim(0, 1.1)
        axes.set_xlabel("share of the variance (fANOVA)")
        axes.set_title("How much each setting matters", loc="left")
    return figure


def parallel_coordinates(trials: pd.DataFrame, metric: str) -> Figure:
    """Draws a line for each trial through its settings to its metric.

    Args:
        trials: a row each, a column for each setting and for the metric, the
            best trial first.
        metric: its column.
    """
    names = [name for name in trials if name != metric] + [metric]
    width = 1.2 + _AXIS_WIDTH * len(names)
    figure = figures.new_figure(width, 4.4, left=0.8, right=0.8, bottom=1.35)
    scaled = [_scaled(trials[name], name) for name in names]
    points = np.array([places for places, _ in scaled])
    colors = matplotlib.colormaps["viridis"](
        np.linspace(0.9, 0.05, len(trials))
    )
    with figures.style():
        axes = figure.subplots()
        # The best on top of the others.
        for row in range(len(trials))[::-1]:
            axes.plot(
                points[:, row],
                color=figures.COLORS[1] if row == 0 else colors[row],
                linewidth=2.6 if row == 0 else 1.1,
                alpha=1.0 if row == 0 else 0.75,
            )
        for column, (_, ticks) in enumerate(scaled):
            axes.axvline(column, color=INK, linewidth=0.8)
            for place, text in ticks:
                axes.text(column + 0.05, place, text, fontsize=8, va="center")
        axes.set_xticks(
            range(len(names)), names, rotation=30, ha="right", fontsize=9
        )
        axes.set_yticks([])
        axes.set_xlim(-0.2, len(names) - 0.3)
        axes.set_ylim(-0.05, 1.05)
        axes.spines["left"].set_visible(False)
        axes.spines["bottom"].set_visible(False)
        axes.set_title("Trials, the best in orange", loc="left")
    return figure


def _scaled(
    values: pd.Series, name: str
) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Returns the places of values from 0 to 1, and marks at some of them."""
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.isna().any() or values.dtype == bool:
        kinds = sorted(set(values.map(str)))
        places = values.map(str).map(kinds.index).to_numpy(float)
        marks = list(enumerate(kinds))
        low, high = 0.0, max(1.0, len(kinds) - 1.0)
    else:
        places = numbers.to_numpy(float)
        low, high = places.min(), places.max()
        distinct = sorted(set(places))
        if len(distinct) > 5:
            distinct = [low, *np.quantile(places, [0.5]), high]
        marks = [(one, f"{one:.3g}") for one in distinct]
    if name in _LOGARITHMIC:
        places, low, high = np.log(places), np.log(low), np.log(high)
        marks = [(np.log(one), text) for one, text in marks]
    size = (high - low) or 1.0
    return (places - low) / size, [
        ((one - low) / size, text) for one, text in marks
    ]
