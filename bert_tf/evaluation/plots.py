"""Confusion matrix and learning curves as PNG files."""

from collections.abc import Sequence

import matplotlib
import numpy as np
import pandas as pd

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402 - after the backend

_DPI = 120
# Above so many classes, counts in the cells can no longer be read.
_MOST_CLASSES_WITH_COUNTS = 20


def write_confusion_matrix(
    path: str, matrix: Sequence[Sequence[int]], class_names: Sequence[str]
) -> None:
    """Draws counts, coloured by the share of the true class."""
    counts = np.asarray(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = max(4.5, 0.32 * len(class_names) + 2.5)
    figure, axes = plt.subplots(figsize=(size + 1, size), layout="constrained")
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(class_names))
    names = [
        name if len(name) <= 24 else name[:23] + "…" for name in class_names
    ]
    axes.set_xticks(ticks, names, rotation=90 if len(names) > 6 else 30,
                    ha="center" if len(names) > 6 else "right")  # fmt: skip
    axes.set_yticks(ticks, names)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.set_title(f"Confusion matrix, {counts.sum():,} examples")
    if len(class_names) <= _MOST_CLASSES_WITH_COUNTS:
        for (row, column), count in np.ndenumerate(counts):
            axes.text(
                column, row, f"{count:,}", ha="center", va="center",
                color="white" if shares[row, column] > 0.5 else "black",
            )  # fmt: skip
    figure.colorbar(image, label="share of the true class", shrink=0.8)
    _save(figure, path)


def write_learning_curves(
    path: str, history: pd.DataFrame, metric: str
) -> None:
    """Draws loss and the selection metric over the epochs."""
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9, 3.6), layout="constrained"
    )
    epochs = history["epoch"]
    left.plot(epochs, history["loss"], "o-", label="training")
    left.plot(epochs, history["eval_loss"], "s--", label="validation")
    left.set_ylabel("cross-entropy (nats)")
    right.plot(epochs, history["accuracy"], "o-", label="training accuracy")
    right.plot(
        epochs, history["eval_accuracy"], "s--", label="validation accuracy"
    )
    # Undefined in every epoch, it has no column.
    if metric not in ("accuracy", "loss") and f"eval_{metric}" in history:
        right.plot(
            epochs,
            history[f"eval_{metric}"],
            "^:",
            label=f"validation {metric}",
        )
    right.set_ylabel("metric")
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    _save(figure, path)


def _save(figure: plt.Figure, path: str) -> None:
    figure.savefig(path, dpi=_DPI, format="png")
    plt.close(figure)
