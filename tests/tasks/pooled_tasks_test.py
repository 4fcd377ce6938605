"""Tasks with one answer a text: their faults, and how far answers differ."""

import numpy as np
import pytest

from bert_tf.config.training import TrainConfig
from bert_tf.errors import InputError
from bert_tf.tasks.classification import Classification
from bert_tf.tasks.multi_label import MultiLabel
from bert_tf.training.train import train_files as train
from tests.runs import evaluate_files
from tests.tasks.files import pair_rows, write_rows


def settings(folder, preset, **changes):
    return TrainConfig(
        **{
            "output_dir": str(folder / "run"),
            "preset": preset,
            "max_seq_length": 20,
            **changes,
        }
    )


def test_faults_are_told(tmp_path, preset):
    file = write_rows(
        tmp_path / "t.csv", ("text", "label"), [("a", "1"), ("b", "x")]
    )
    with pytest.raises(InputError, match='line 3: the label "x" is not a numb'):
        train(
            settings(
                tmp_path, preset, train_file=(file,), validation_file=(file,),
                task="regression",
            )
        )  # fmt: skip
    with pytest.raises(InputError, match="needs at least two"):
        train(
            settings(
                tmp_path, preset, train_file=(file,), validation_file=(file,),
                task="multi_label", label_separator="|", max_train_samples=1,
            )
        )  # fmt: skip
    broken = write_rows(
        tmp_path / "b.csv", ("text", "label"), [("a", "x|y\nz"), ("b", "x")]
    )
    with pytest.raises(InputError, match="line break"):
        train(
            settings(
                tmp_path, preset, train_file=(broken,),
                validation_file=(broken,), task="multi_label",
                label_separator="|",
            )
        )  # fmt: skip
    with pytest.raises(InputError, match="must be one of pearson"):
        settings(
            tmp_path, preset, train_file=(file,), task="regression",
            metric_for_best_model="f1",
        )  # fmt: skip
    with pytest.raises(InputError, match="--calibrate is for"):
        settings(
            tmp_path, preset, train_file=(file,), task="regression",
            calibrate=True,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("label", "chances", "difference"),
    [
        ("b", [0.2, 0.5, 0.3], 0.0),
        ("b", [0.25, 0.45, 0.3], 0.05),
        # The same numbers under another name.
        ("c", [0.2, 0.5, 0.3], 0.1),
        # A tie that rounding decides.
        ("c", [0.2, 0.4, 0.4], 0.1),
        ("d", [0.2, 0.5, 0.3], np.inf),
    ],
)
def test_difference_of_classes(label, chances, difference):
    task = Classification(("a", "b", "c"))
    expected = {
        "label": "b", "score": "0.5", "probability_a": "0.2",
        "probability_b": "0.5", "probability_c": "0.3",
    }  # fmt: skip
    cells = ([label, str(max(chances))], list(map(str, chances)))
    assert task.max_abs_difference(expected, cells) == pytest.approx(difference)


@pytest.mark.parametrize(
    ("thresholds", "labels", "difference"),
    [
        ((0.3, 0.5), "a; b", 0.0),
        ((0.3, 0.5), "b;a", 0.0),
        # As if the threshold were 0.5 for all.
        ((0.3, 0.5), "b", 0.1),
        ((), "b", 0.1),
        # What rounding moves over a threshold is no other answer.
        ((0.3, 0.899999), "a", 1e-6),
        ((0.3, 0.5), "", 0.4),
        ((0.3, 0.5), "a;b;c", np.inf),
    ],
)
def test_difference_of_label_sets(thresholds, labels, difference):
    task = MultiLabel(("a", "b"), ";", thresholds)
    expected = {"label": "b;a", "probability_a": "0.4", "probability_b": "0.9"}
    found = task.max_abs_difference(expected, ([labels], ["0.4", "0.9"]))
    assert found == pytest.approx(difference, abs=1e-7)


def test_regression_at_any_scale(tiny_config, tmp_path):
    """Labels times 1,000 plus 500: the same model on another scale."""
    metrics = {}
    for name, factor, offset in (("plain", 1, 0), ("large", 1000, 500)):
        rows = [
            (first, second, factor * label + offset)
            for first, second, label in pair_rows(160)
        ]
        path = write_rows(
            tmp_path / f"{name}.csv", ("text_a", "text_b", "label"), rows
        )
        config = tiny_config(
            train_file=(path,), output_dir=str(tmp_path / name),
            task="regression", num_train_epochs=4, learning_rate=5e-3,
            # Whose rounding differs from scale to scale.
            head_init="random",
        )  # fmt: skip
        metrics[name] = train(config)
    plain, large = metrics["plain"], metrics["large"]
    assert plain["eval_pearson"] > 0.7
    assert large["eval_pearson"] == pytest.approx(
        plain["eval_pearson"], rel=0.01
    )
    for name, unit in (
        ("eval_mean_squared_error", 1e6), ("eval_mean_absolute_error", 1e3),
        ("eval_loss", 1e6), ("train_loss", 1e6),
    ):  # fmt: skip
        assert large[name] / unit == pytest.approx(plain[name], rel=0.01), name
    # What is saved answers on the labels' scale.
    evaluated = evaluate_files(
        str(tmp_path / "large"), [str(tmp_path / "large.csv")]
    )
    assert evaluated.metrics["eval_pearson"] > 0.7
    assert evaluated.predictions.min() > 1000
