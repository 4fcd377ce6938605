import numpy as np
import pytest
from matplotlib import image

from bert_tf.evaluation import artifacts
from bert_tf.evaluation.plots import confusion, figures, plots
from bert_tf.metrics import calibration
from tests.data.splits_test import frame


def test_errors_are_the_most_confident_first():
    examples = frame([("a", "x"), ("b", "y"), ("c", "x"), ("d", "y")])
    probabilities = np.array([[0.4, 0.6], [0.2, 0.8], [0.1, 0.9], [0.7, 0.3]])
    table = artifacts.error_table(examples, probabilities, ["x", "y"])
    assert list(table["text"]) == ["c", "d", "a"]
    assert list(table["line"]) == [4, 5, 2]
    assert list(table["label"]) == ["y", "x", "y"]
    assert table["score_of_true_label"].iloc[0] == 0.1
    assert "text_pair" not in table


def names_of(classes: int) -> list[str]:
    return [f"a long class name, number {i}" for i in range(classes)]


@pytest.mark.parametrize("classes", [2, 77])
def test_no_names_overlap_and_none_is_cut_off(tmp_path, classes):
    figure = confusion.confusion_matrix(
        np.eye(classes, dtype=int) * 7, names_of(classes)
    )
    whole = figure.bbox
    axes = figure.axes[0]
    for labels, side in (
        (axes.get_xticklabels(), "x"),
        (axes.get_yticklabels(), "y"),
    ):
        boxes = [label.get_window_extent() for label in labels]
        assert len(boxes) == classes
        for box in boxes:
            assert box.x0 >= 0 and box.y0 >= 0
            assert box.x1 <= whole.x1 and box.y1 <= whole.y1
        starts = sorted(getattr(box, f"{side}0") for box in boxes)
        heights = [box.width if side == "x" else box.height for box in boxes]
        assert min(np.diff(starts)) >= max(heights) * 0.95
    # Last, since it leaves extents in another resolution behind.
    path = str(tmp_path / "matrix.png")
    figures.write_png(figure, path)
    assert image.imread(path).shape[0] > 400


def test_many_classes_are_cut_to_the_most_confused():
    counts = np.eye(150, dtype=int) * 5
    counts[140, 3] = 9
    drawn = confusion.most_confused(counts)
    assert len(drawn) == confusion.MOST_CLASSES_DRAWN
    assert {3, 140} <= set(drawn)
    figure = confusion.confusion_matrix(counts, names_of(150))
    assert "100 of 150" in figure.axes[0].get_title(loc="left")


@pytest.mark.parametrize("classes", [2, 9])
def test_every_axis_is_named(classes):
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(classes), 80)
    labels = np.arange(80) % classes
    positive = 1 if classes == 2 else None
    names = names_of(classes)
    drawn = [
        plots.roc_curves(labels, probabilities, names, positive),
        plots.precision_recall_curves(labels, probabilities, names, positive),
        plots.score_histogram(labels, probabilities, names, positive),
        plots.text_lengths(np.arange(1, 81), 64),
        plots.text_lengths(np.arange(1, 81), None),
        plots.reliability(calibration.reliability(labels, probabilities), 0.1),
    ]
    for figure in drawn:
        assert all(
            axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes
        )
        svg = figures.to_svg(figure, "name", "what it shows")
        assert svg.startswith("<svg ") and svg.rstrip().endswith("</svg>")
        assert figures.INK not in svg and "currentColor" in svg
    assert "17 of 80" not in drawn[4].axes[0].get_title(loc="left")
    assert "16 of 80" in drawn[3].axes[0].get_title(loc="left")


def test_curves_of_one_class_only_say_so():
    labels = np.ones(5, int)
    figure = plots.roc_curves(labels, np.full((5, 2), 0.5), ["a", "b"], 1)
    assert "not defined" in figure.axes[0].texts[0].get_text()


def test_colours_used_together_differ_in_lightness():
    """So that they are told apart without seeing hues, and on grey paper."""

    def lightness(color):
        red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
        return 0.299 * red + 0.587 * green + 0.114 * blue

    for first, second in ((0, 1), (0, 2), (1, 4), (0, 5)):
        one, other = figures.COLORS[first], figures.COLORS[second]
        assert abs(lightness(one) - lightness(other)) > 15, (one, other)


def test_shorten():
    assert artifacts.shorten("a\n b", 10) == "a b"
    assert artifacts.shorten("abcdef", 4) == "abc…"
    assert plots.shorten_name("x" * 30 + "31").endswith("31")
    assert len(plots.shorten_name("x" * 30)) <= 24
