"""What is said of a search, and drawn."""

import pandas as pd
import pytest

from bert_tf.evaluation.plots import figures, search_plots

pytest.importorskip("optuna")

from bert_tf.evaluation.report import search_page  # noqa: E402

SUMMARY = {
    "metric": "accuracy", "num_trials": 20, "default": 0.9, "best": 0.93,
    "best_trial": 7, "gain": 0.03, "standard_error": 0.01,
    "gain_beyond_noise": 0.028,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "better by 0.0300 (standard error 0.0100). That is beyond noise"),
        ({"gain": 0.02}, "That may be chance, so the defaults stay"),
        ({"gain": 0.0}, "not better, so the defaults stay"),
        ({"gain": -0.2}, "not better, so the defaults stay"),
        ({"best_trial": None}, "None of 20 trials came to its end"),
    ],
)
def test_the_sentence(changes, said):
    assert said in search_page.verdict({**SUMMARY, **changes})


def test_settings_are_flags():
    values = {"learning_rate": 1.23456e-5, "pooling": "cls"}
    assert search_page.describe_values(
        values | {"trainable_layers": "all"}
    ) == ("--learning_rate=1.23e-05 --pooling=cls")


def test_drawn_whatever_the_trials_are():
    trials = pd.DataFrame(
        {
            "learning_rate": [1e-5, 1e-4, 5e-4],
            "trainable_layers": ["all", "last:3", None],
            "dropout": [0.1, 0.1, 0.1],
            "accuracy": [0.9, 0.8, 0.7],
        }
    )
    figure = search_plots.parallel_coordinates(trials, "accuracy")
    (axes,) = figure.axes
    best = axes.lines[-5]
    # Of three trials the best is drawn last, before the four axes.
    assert list(best.get_ydata()[[0, 3]]) == [0.0, 1.0]
    middle = axes.lines[1].get_ydata()
    assert middle[0] == pytest.approx(0.5886, abs=1e-3)
    assert "<svg" in figures.to_svg(figure, "trials", "trials")
    bars = search_plots.importance({"learning_rate": 0.9, "dropout": 0.1})
    assert [one.get_width() for one in bars.axes[0].patches] == [0.1, 0.9]
