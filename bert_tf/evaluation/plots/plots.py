"""Learning, ROC, precision-recall and reliability curves and histograms."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn import metrics

from bert_tf.evaluation.evaluate import Evaluation
from bert_tf.evaluation.plots import figures
from bert_tf.evaluation.plots.figures import INK
from bert_tf.metrics import calibration

Plot = Callable[[Evaluation], Figure]
# Every plot of a classification and its caption, by the name of its PNG file.
PLOTS: dict[str, tuple[Plot, str]] = {}

_NAME_WIDTH = 24
_MOST_BARS = 45


def plot(caption: str) -> Callable[[Plot], Plot]:
    """Makes a function one of PLOTS.

    Every evaluation of a classification then has it as a PNG file named like
    the function, and in report.html above the caption.
    """

    def register(function: Plot) -> Plot:
        PLOTS[function.__name__] = function, caption
        return function

    return register


def shorten_name(name: str) -> str:
    """Returns a class name of at most 24 letters, cut in its middle.

    Many classes' names begin alike and differ in the end.
    """
    if len(name) <= _NAME_WIDTH:
        return name
    half = _NAME_WIDTH // 2
    return f"{name[: half - 1]}…{name[-half:]}"


def learning_curves(history: pd.DataFrame, metric: str) -> Figure:
    """Draws loss, accuracy if there is one, and the selection metric."""
    has_accuracy = "accuracy" in history
    is_drawn = ("accuracy", "loss") if has_accuracy else ()
    # Undefined in every epoch, it has no column.
    has_third = metric not in is_drawn and f"eval_{metric}" in history
    entries = 2 * has_accuracy + has_third
    figure, (upper, lower) = figures.figure_with_legend(
        5.0, 5.6, entries, panels=2
    )
    figure.subplots_adjust(hspace=0.12)
    with figures.style():
        epochs = history["epoch"]
        upper.plot(epochs, history["loss"], "o-")
        upper.plot(epochs, history["eval_loss"], "s--")
        upper.set_ylabel("cross-entropy (nats)" if has_accuracy else "loss")
        upper.set_title("Learning curves", loc="left")
        if has_accuracy:
            lower.plot(epochs, history["accuracy"], "o-", label="training")
            lower.plot(
                epochs, history["eval_accuracy"], "s--", label="validation"
            )
        if has_third:
            lower.plot(
                epochs,
                history[f"eval_{metric}"],
                "^:",
                label=f"validation, {metric}",
            )
        if has_accuracy:
            lower.set_ylabel(
                f"accuracy, {metric}" if has_third else "accuracy (share)"
            )
        else:
            lower.set_ylabel(metric)
        lower.set_xlabel("epoch")
        lower.xaxis.get_major_locator().set_params(integer=True, nbins=10)
        if len(epochs) == 1:
            lower.set_xticks(epochs)
        for axes in (upper, lower):
            axes.grid()
        figures.draw_legend(lower, entries)
    return figure


@plot("Bars below the line: surer than right.")
def reliability(evaluation: Evaluation) -> Figure:
    """Draws how often the model is right against how sure it is."""
    bins = calibration.reliability(evaluation.labels, evaluation.predictions)
    error = evaluation.metrics["eval_expected_calibration_error"]
    figure, (axes,) = figures.figure_with_legend(5.0, 4.0, 2)
    with figures.style():
        centers = (bins["lower"] + bins["upper"]) / 2
        axes.bar(
            centers,
            bins["accuracy"],
            width=(bins["upper"] - bins["lower"]) * 0.92,
            color=figures.COLORS[4],
            label="share that is right",
        )
        axes.plot(
            bins["confidence"], bins["accuracy"], "o", color=figures.COLORS[1]
        )
        axes.plot([0, 1], [0, 1], "--", color=INK, label="calibrated")
        axes.set_xlim(max(0.0, bins["lower"].min() - 0.05), 1.0)
        axes.set_ylim(0.0, 1.02)
        axes.set_xlabel("score of the answer (probability)")
        axes.set_ylabel("share of answers that are right")
        axes.set_title(
            f"Reliability, expected calibration error {error:.3f}", loc="left"
        )
        axes.grid()
        figures.draw_legend(axes, 2)
    return figure


@plot("What a threshold would separate.")
def score_histogram(evaluation: Evaluation) -> Figure:
    """Draws how scores are spread.

    Of two classes the score is the positive one's, by true class; of more, the
    answer's, by whether it is right.
    """
    labels, probabilities = evaluation.labels, evaluation.predictions
    positive = evaluation.positive
    if positive is None:
        scores = probabilities.max(axis=1)
        right = probabilities.argmax(axis=1) == labels
        groups = {"right answers": right, "wrong answers": ~right}
        label = "score of the answer (probability)"
    else:
        scores = probabilities[:, positive]
        names = [shorten_name(name) for name in evaluation.class_names]
        groups = {
            f"truly {names[positive]}": labels == positive,
            f"truly {names[1 - positive]}": labels != positive,
        }
        label = f"score of {names[positive]} (probability)"
    figure, (axes,) = figures.figure_with_legend(5.0, 4.0, 2)
    with figures.style():
        axes.hist(
            [scores[group] for group in groups.values()],
            bins=np.linspace(0, 1, 26),
            stacked=True,
            color=[figures.COLORS[0], figures.COLORS[5]],
            label=list(groups),
        )
        axes.set_xlim(0, 1)
        axes.set_xlabel(label)
        axes.set_ylabel("texts (count)")
        axes.set_title("Scores", loc="left")
        axes.grid(axis="y")
        figures.draw_legend(axes, 2)
    return figure


# Each has a line and a colour of its own; of more classes the mean is drawn
# and those that are worst.
_MOST_LINES = 6
_WORST = 4
_POINTS = np.linspace(0, 1, 201)
_DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))


@plot("Of all thresholds, one class against the rest.")
def roc_curve(evaluation: Evaluation) -> Figure:
    """Draws the true against the false positive rate over all thresholds.

    Of two classes the positive one's curve is the only one.
    """

    def curve(y_true, scores):
        false_rate, true_rate, _ = metrics.roc_curve(y_true, scores)
        return (
            np.interp(_POINTS, false_rate, true_rate),
            metrics.auc(false_rate, true_rate),
        )

    axes, figure = _draw(evaluation, curve, "area")
    axes.plot([0, 1], [0, 1], ":", color=figures.INK, linewidth=1)
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate (recall)")
    axes.set_title("ROC", loc="left")
    return figure


@plot("Of all thresholds, one class against the rest.")
def precision_recall_curve(evaluation: Evaluation) -> Figure:
    """Draws precision against recall, as `roc_curve` does."""

    def curve(y_true, scores):
        precision, recall, _ = metrics.precision_recall_curve(y_true, scores)
        return (
            np.interp(_POINTS, recall[::-1], precision[::-1]),
            metrics.average_precision_score(y_true, scores),
        )

    axes, figure = _draw(evaluation, curve, "average precision")
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.set_title("Precision and recall", loc="left")
    return figure


def _draw(
    evaluation: Evaluation,
    curve: Callable[..., tuple[np.ndarray, float]],
    what: str,
):
    labels, probabilities = evaluation.labels, evaluation.predictions
    class_names, positive = evaluation.class_names, evaluation.positive
    # No curve without both positive and negative rows.
    wanted = range(len(class_names)) if positive is None else (positive,)
    classes = [i for i in wanted if 0 < (labels == i).sum() < len(labels)]
    curves_by_class = {
        i: curve(labels == i, probabilities[:, i]) for i in classes
    }
    lines = [(class_names[i], *curves_by_class[i]) for i in classes]
    if len(classes) > _MOST_LINES:
        mean = (
            f"mean of {len(classes)} classes",
            np.mean([values for values, _ in curves_by_class.values()], axis=0),
            float(np.mean([area for _, area in curves_by_class.values()])),
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


@plot("What is right of the line is not seen by the model.")
def text_lengths(evaluation: Evaluation) -> Figure:
    """Draws how long texts are, and where they are cut."""
    token_counts = evaluation.encoded.token_counts
    max_seq_length = evaluation.max_seq_length
    title = "Text lengths"
    if max_seq_length is None:
        max_seq_length = np.iinfo(np.int32).max
    else:
        cut = int((token_counts > max_seq_length).sum())
        title += (
            f": {cut:,} of {len(token_counts):,} are longer than "
            f"{max_seq_length}"
        )
    # A few very long texts must not squeeze all others into one bar.
    most = int(np.percentile(token_counts, 99.5, method="inverted_cdf"))
    limit = max(most, min(max_seq_length, 2 * most)) + 1
    # Bars of whole tokens: others would hold now more lengths, now fewer.
    width = -(-limit // _MOST_BARS)
    edges = np.arange(0, limit + width, width) + 0.5
    has_more = token_counts.max() > edges[-1]
    has_line = max_seq_length <= edges[-1]
    figure, (axes,) = figures.figure_with_legend(5.0, 4.0, int(has_line))
    with figures.style():
        axes.hist(
            np.minimum(token_counts, edges[-1]),
            bins=edges,
            color=figures.COLORS[0],
        )
        if has_line:
            axes.axvline(
                max_seq_length + 0.5,
                color=figures.COLORS[1],
                linestyle="--",
                label=f"cut at {max_seq_length} tokens",
            )
            figures.draw_legend(axes, 1)
        axes.set_xlabel(
            "length (tokens)"
            + ("; longer ones are in the last bar" if has_more else "")
        )
        axes.set_ylabel("texts (count)")
        axes.set_title(title, loc="left")
        axes.set_xlim(0, edges[-1] + 0.5)
        axes.grid(axis="y")
    return figure
