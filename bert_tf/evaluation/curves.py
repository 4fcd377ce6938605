"""ROC and precision-recall curves, one class against the rest."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.figure import Figure
from sklearn import metrics

from bert_tf.evaluation import figures
from bert_tf.evaluation.plots import shorten_name

# Each has a line and a colour of its own; of more classes the mean is drawn
# and those that are worst.
_MOST_LINES = 6
_WORST = 4
_POINTS = np.linspace(0, 1, 201)
_DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))


def roc_curves(
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    positive: int | None,
) -> Figure:
    """Draws the true against the false positive rate over all thresholds.

    Args:
        labels: <int>[rows].
        probabilities: <float>[rows, classes].
        class_names: one a class.
        positive: the positive class of two, whose curve is the only one; None
            of more classes.
    """

    def curve(truth, scores):
        false_rate, true_rate, _ = metrics.roc_curve(truth, scores)
        return (
            np.interp(_POINTS, false_rate, true_rate),
            metrics.auc(false_rate, true_rate),
        )

    axes, figure = _draw(
        labels, probabilities, class_names, positive, curve, "area"
    )
    axes.plot([0, 1], [0, 1], ":", color=figures.INK, linewidth=1)
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate (recall)")
    axes.set_title("ROC", loc="left")
    return figure


def precision_recall_curves(
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    positive: int | None,
) -> Figure:
    """Draws precision against recall; arguments as for `roc_curves`."""

    def curve(truth, scores):
        precision, recall, _ = metrics.precision_recall_curve(truth, scores)
        return (
            np.interp(_POINTS, recall[::-1], precision[::-1]),
            metrics.average_precision_score(truth, scores),
        )

    axes, figure = _draw(
        labels, probabilities, class_names, positive, curve, "average precision"
    )
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.set_title("Precision and recall", loc="left")
    return figure


def _draw(
    labels,
    probabilities,
    class_names,
    positive,
    curve: Callable[..., tuple[np.ndarray, float]],
    what: str,
):
    # No curve without both positive and negative rows.
    wanted = range(len(class_names)) if positive is None else (positive,)
    classes = [i for i in wanted if 0 < (labels == i).sum() < len(labels)]
    found = {i: curve(labels == i, probabilities[:, i]) for i in classes}
    lines = [(class_names[i], *found[i]) for i in classes]
    if len(classes) > _MOST_LINES:
        mean = (
            f"mean of {len(classes)} classes",
            np.mean([values for values, _ in found.values()], axis=0),
            float(np.mean([area for _, area in found.values()])),
        )
        worst = sorted(lines, key=lambda line: line[2])[:_WORST]
        lines = [mean, *worst]
    figure, (axes,) = figures.figure_with_legend(5.0, 4.0, len(lines))
    with figures.style():
        for number, (name, values, area) in enumerate(lines):
            axes.plot(
                _POINTS,
                values,
                linestyle=_DASHES[number],
                label=f"{shorten_name(name)}, {what} {area:.3f}",
                linewidth=2 if number == 0 else 1.5,
            )
        axes.set_xlim(-0.01, 1.01)
        axes.set_ylim(-0.01, 1.02)
        axes.grid()
        if lines:
            figures.draw_legend(axes, len(lines))
        else:
            axes.text(
                0.5, 0.5, "not defined: only one class\nis among the rows",
                ha="center", va="center",
            )  # fmt: skip
    return axes, figure
