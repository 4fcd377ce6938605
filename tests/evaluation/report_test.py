import dataclasses
import types

import numpy as np
import pytest
from matplotlib import image

from bert_tf.evaluation import artifacts
from bert_tf.evaluation.error_analysis import Findings
from bert_tf.evaluation.evaluate import Evaluation
from bert_tf.evaluation.plots import confusion, figures, plots
from bert_tf.metrics.classification import classification_metrics
from bert_tf.tasks.classification import Classification
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


def of_matrix(counts, names):
    return types.SimpleNamespace(
        class_names=names, metrics={"confusion_matrix": counts.tolist()}
    )


def names_of(classes: int) -> list[str]:
    return [f"a long class name, number {i}" for i in range(classes)]


@pytest.mark.parametrize("classes", [2, 77])
def test_no_names_overlap_and_none_is_cut_off(tmp_path, classes):
    figure = confusion.confusion_matrix(
        of_matrix(np.eye(classes, dtype=int) * 7, names_of(classes))
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
    figure = confusion.confusion_matrix(of_matrix(counts, names_of(150)))
    assert "100 of 150" in figure.axes[0].get_title(loc="left")


def classified(labels, probabilities, names, token_counts=None) -> Evaluation:
    examples = frame([(f"text {i}", names[y]) for i, y in enumerate(labels)])
    return Evaluation(
        title="a file",
        model_path="model",
        task=Classification(tuple(names)),
        examples=examples,
        encoded=types.SimpleNamespace(token_counts=token_counts),
        predictions=probabilities,
        metrics={
            "eval_expected_calibration_error": 0.1,
            "eval_samples": len(labels),
            "eval_samples_per_second": 1.0,
            **classification_metrics(labels, probabilities, names),
            **({"positive_class": names[1]} if len(names) == 2 else {}),
        },
        max_seq_length=64,
    )


def random_evaluation(classes: int) -> Evaluation:
    return classified(
        np.arange(80) % classes,
        np.random.default_rng(0).dirichlet(np.ones(classes), 80),
        names_of(classes),
        token_counts=np.arange(1, 81),
    )


@pytest.mark.parametrize("classes", [2, 9])
def test_every_axis_is_named(classes):
    evaluation = random_evaluation(classes)
    assert {"roc_curve", "confusion_matrix", "reliability"} < set(plots.PLOTS)
    for function, caption in plots.PLOTS.values():
        figure = function(evaluation)
        assert caption.endswith(".")
        assert all(
            axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes[:1]
        )
        svg = figures.to_svg(figure, "name", "what it shows")
        assert svg.startswith("<svg ") and svg.rstrip().endswith("</svg>")
        assert figures.INK not in svg and "currentColor" in svg
    title = plots.text_lengths(evaluation).axes[0].get_title(loc="left")
    assert "16 of 80" in title
    uncut = dataclasses.replace(evaluation, max_seq_length=None)
    title = plots.text_lengths(uncut).axes[0].get_title(loc="left")
    assert title == "Text lengths"


def test_curves_of_one_class_only_say_so():
    evaluation = classified(np.ones(5, int), np.full((5, 2), 0.5), ["a", "b"])
    figure = plots.roc_curve(evaluation)
    assert "not defined" in figure.axes[0].texts[0].get_text()


def test_a_plot_is_added_where_the_docs_say(tmp_path, monkeypatch):
    """One function is in the page and a PNG file of its name."""
    monkeypatch.setattr(plots, "PLOTS", dict(plots.PLOTS))

    @plots.plot("A toy of an outsider.")
    def toy(evaluation):
        figure = figures.new_figure(3.0, 2.0)
        figure.subplots().plot(evaluation.predictions[:, 0])
        return figure

    artifacts.write_results(
        str(tmp_path),
        [random_evaluation(2).complete(None)],
        findings=Findings([], 0, [], 0, []),
        run_path=None,
    )
    assert image.imread(str(tmp_path / "toy.png")).shape[0] > 100
    page = (tmp_path / "report.html").read_text()
    assert "A toy of an outsider." in page and 'id="toy-' in page


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
