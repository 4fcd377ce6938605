"""The confusion matrix, for 2 to 100 classes."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from bert_tf.evaluation.evaluate import Evaluation
from bert_tf.evaluation.plots import figures
from bert_tf.evaluation.plots.figures import INK
from bert_tf.evaluation.plots.plots import plot, shorten_name

# From nothing to blue, so that an empty cell has the colour of its page.
_SHARES = LinearSegmentedColormap.from_list(
    "shares", [(0.0, 0.30, 0.50, 0.0), (0.0, 0.30, 0.50, 1.0)]
)
# Of more classes, those with the most mistakes are drawn; the CSV has all.
MOST_CLASSES_DRAWN = 100
# Up to so many classes, cells hold counts and shares.
LARGE_CELLS = 12


@plot("A click shows it at full size, and back.")
def confusion_matrix(evaluation: Evaluation) -> Figure:
    """Draws counts, and the shares of the true class: written or by colour."""
    class_names = evaluation.class_names
    counts = np.asarray(evaluation.metrics["confusion_matrix"])
    total = counts.sum()
    title = f"Confusion matrix, {total:,} examples"
    if len(class_names) > MOST_CLASSES_DRAWN:
        drawn = most_confused(counts)
        title += (
            f"\n(the {MOST_CLASSES_DRAWN} of {len(class_names)} classes with "
            "the most mistakes)"
        )
        shares = _shares(counts)[np.ix_(drawn, drawn)]
        counts = counts[np.ix_(drawn, drawn)]
        class_names = [class_names[i] for i in drawn]
    else:
        shares = _shares(counts)
    size = len(class_names)
    names = [shorten_name(name) for name in class_names]
    is_large = size <= LARGE_CELLS
    points = 10 if is_large else 7.5
    cell = 1.1 if size <= 4 else 0.72 if is_large else 0.24
    widest = _widest(names, points)
    left = widest + 0.6
    bar = 0.9
    # Names of a few wide cells stand level.
    level = widest < cell
    bottom = (0.3 if level else widest + 0.15) + 0.45
    width = max(left + size * cell + bar, 3.9)
    figure = figures.new_figure(
        width,
        size * cell + bottom + 0.65,
        left=left,
        right=width - left - size * cell,
        bottom=bottom,
        top=0.65,
    )
    with figures.style():
        axes = figure.add_subplot()
        image = axes.imshow(
            shares, cmap=_SHARES, vmin=0, vmax=1, interpolation="nearest",
            aspect="auto",
        )  # fmt: skip
        ticks = range(size)
        axes.set_xticks(
            ticks, names, rotation=0 if level else 90, fontsize=points
        )
        axes.set_yticks(ticks, names, fontsize=points)
        axes.tick_params(length=0)
        axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
        axes.grid(which="minor", linewidth=0.5)
        axes.tick_params(which="minor", length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
        axes.set_title(title, loc="left", x=-(left - 0.15) / (size * cell))
        _write_cells(axes, counts, shares, is_large)
        bars = figure.add_axes(
            [
                1 - (width - left - size * cell - 0.15) / width,
                axes.get_position().y0,
                0.14 / width,
                axes.get_position().height
                if is_large
                else 3 / figure.get_figheight(),
            ]
        )
        figure.colorbar(image, cax=bars, label="share of the true class")
    return figure


def _widest(names: Sequence[str], points: float) -> float:
    """Returns the width of the widest name in inches."""
    with figures.style():
        font = FontProperties(family="DejaVu Sans")
        widths = [
            TextPath((0, 0), name, size=points, prop=font).get_extents().width
            for name in names
            if name.strip()
        ]
    return max(widths, default=0.0) / 72 + 0.05


def _write_cells(axes, counts, shares, is_large: bool) -> None:
    for row, column in np.argwhere(counts if not is_large else counts >= 0):
        count, share = counts[row, column], shares[row, column]
        text = f"{count:,}\n{share:.0%}" if is_large else f"{count}"
        axes.text(
            column, row, text, ha="center", va="center",
            fontsize=9 if is_large else 5.5 if count < 1000 else 4,
            color="white" if share > 0.6 else INK,
        )  # fmt: skip


def _shares(counts: np.ndarray) -> np.ndarray:
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def most_confused(counts: np.ndarray) -> np.ndarray:
    """Returns the classes with the most mistakes, in their order."""
    num_correct = np.diag(counts)
    mistakes = counts.sum(axis=0) + counts.sum(axis=1) - 2 * num_correct
    worst = np.argsort(-mistakes, kind="stable")[:MOST_CLASSES_DRAWN]
    return np.sort(worst)
