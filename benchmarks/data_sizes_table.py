"""What `benchmarks.data_sizes` measured, as tables and as curves."""

import matplotlib

matplotlib.use("Agg")
import numpy as np  # noqa: E402 - after the backend
import pandas as pd  # noqa: E402
from matplotlib import pyplot as plt  # noqa: E402

_OURS = "bert_tf"
_COLORS = {
    _OURS: "#0072b2",
    "word_counts": "#b0b0b0",
    "sentence_vectors": "#009e73",
    "trainer": "#d55e00",
    "trainer_20": "#e69f00",
    "setfit": "#cc79a7",
}


def score(results: pd.DataFrame) -> pd.Series:
    """Returns the metric of each row's set: accuracy, Matthews of CoLA."""
    return results["matthews"].where(
        results["set"] == "cola", results["accuracy"]
    )


def cells(results: pd.DataFrame, value: str) -> pd.DataFrame:
    """Returns means over samples: a row a set and size, a column a method."""
    table = results.pivot_table(
        index=["set", "size"], columns="method", values=value, sort=False
    )
    order = [name for name in _COLORS if name in table]
    return table[order].sort_index(
        key=lambda level: level.map(_size) if level.name == "size" else level
    )


def compare(results: pd.DataFrame) -> pd.DataFrame:
    """Compares this project with each method where both were measured.

    Returns:
        A row a method: cells, the mean difference over them, the worst one in
        paired standard errors (where there are two samples), cells lower, and
        both pooled standard deviations over samples up to 128 labels a class.
    """
    results = results.assign(score=score(results))
    wide = results.pivot_table(
        index=["set", "size", "sample"], columns="method", values="score"
    )
    rows = {}
    for name in _COLORS:
        if name == _OURS or name not in wide or _OURS not in wide:
            continue
        both = wide[[_OURS, name]].dropna()
        groups = (both[_OURS] - both[name]).groupby(["set", "size"])
        means, errors = groups.mean(), groups.sem()
        few = both[both.index.get_level_values("size") != "all"]
        deviations = few.groupby(["set", "size"]).var().mean() ** 0.5
        rows[name] = {
            "cells": len(means),
            "difference": means.mean(),
            "lower_in": int((means < 0).sum()),
            "worst_in_errors": (means / errors).min(),
            "deviation_of_ours": deviations[_OURS],
            "deviation": deviations[name],
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def tables(results: pd.DataFrame) -> str:
    """Returns scores, seconds and comparisons as text."""
    results = results.assign(score=score(results))
    counts = results.groupby("method")["score"].count()
    measured = ", ".join(f"{name} {n}" for name, n in counts.items())
    parts = {
        f"Accuracy, Matthews correlation of CoLA; measured: {measured}": cells(
            results, "score"
        ),
        "F1, macro": cells(results, "f1_macro"),
        "Seconds of the whole command": cells(results, "seconds").round(),
        "This project against": compare(results),
    }
    return "\n\n".join(
        f"{title}\n{table.to_string(float_format='{:.3f}'.format, na_rep='')}"
        for title, table in parts.items()
    )


def draw(path: str, results: pd.DataFrame) -> None:
    """Draws the score over the labels a class, a panel a set."""
    table = cells(results.assign(score=score(results)), "score")
    names = list(dict.fromkeys(table.index.get_level_values("set")))
    figure, axes = plt.subplots(
        1, len(names), figsize=(3.2 * len(names), 3.2), layout="constrained",
        squeeze=False,
    )  # fmt: skip
    for panel, name in zip(axes[0], names, strict=True):
        rows = table.loc[name]
        for method in table:
            drawn = rows[method].dropna()
            places = [list(rows.index).index(size) for size in drawn.index]
            panel.plot(
                places, drawn, "o-", color=_COLORS[method], label=method,
                linewidth=2.5 if method == _OURS else 1.2,
            )  # fmt: skip
        panel.set_xticks(np.arange(len(rows)), rows.index)
        panel.set_title(name)
        panel.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylabel("accuracy (cola: Matthews)")
    figure.supxlabel("labels a class")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center",
        ncols=len(_COLORS), frameon=False,
    )  # fmt: skip
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _size(size: str) -> float:
    return np.inf if size == "all" else int(size)
