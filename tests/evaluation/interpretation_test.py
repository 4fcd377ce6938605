"""What the report says of simpler models, of scores and of few texts."""

import numpy as np
import pytest

from bert_tf.evaluation.metric_intervals import complete_metrics
from bert_tf.evaluation.report import interpretation
from bert_tf.tasks.classification import Classification
from tests.data.splits_test import frame

TASK = Classification(("no", "so", "yes"))


def examples_of(rows: int):
    names = [TASK.class_names[i % 3] for i in range(rows)]
    return frame([(f"t{i}", name) for i, name in enumerate(names)])


def predictions_of(rows: int, mistakes: int, score: float) -> np.ndarray:
    """The first so many are wrong."""
    chosen = np.arange(rows) % 3
    chosen[:mistakes] = (chosen[:mistakes] + 1) % 3
    table = np.full([rows, 3], (1 - score) / 2)
    table[np.arange(rows), chosen] = score
    return table


def sentences(
    rows: int, *, mistakes: int, score: float, probe_mistakes: int, **facts
):
    examples = examples_of(rows)
    predictions = predictions_of(rows, mistakes, score)
    metrics = TASK.metrics(examples, None, predictions)
    metrics = complete_metrics(
        TASK,
        {**metrics, "eval_samples": rows, **facts},
        examples,
        None,
        predictions,
        None,
        predictions_of(rows, probe_mistakes, 0.9),
    )
    return interpretation.interpret(metrics, split="the test split")


def find(found, words: str):
    (sentence,) = [one for one in found if words in one.text]
    return sentence


@pytest.mark.parametrize(
    ("probe_mistakes", "kind", "words"),
    [
        (90, "good", "ahead by 20.0 points"),
        (31, "plain", "no more than chance"),
        (0, "bad", "behind by 10.0 points"),
    ],
)
def test_the_linear_probe(probe_mistakes, kind, words):
    found = sentences(
        300, mistakes=30, score=0.9, probe_mistakes=probe_mistakes
    )
    sentence = find(found, "A linear probe")
    assert sentence.kind == kind
    assert words in sentence.text
    helps = [one for one in found if "More labels help most" in one.text]
    assert len(helps) == (kind != "good")


@pytest.mark.parametrize(
    ("accuracies", "words"),
    [
        ((0.7, 0.8, 0.85), "brought 5.0 points: more labels help most"),
        ((0.7, 0.8, 0.805), "would bring little"),
    ],
)
def test_what_more_labels_would_bring(accuracies, words):
    curve = [
        {"train_samples": rows, "accuracy": accuracy}
        for rows, accuracy in zip((20, 40, 80), accuracies, strict=True)
    ]
    found = sentences(
        300, mistakes=30, score=0.9, probe_mistakes=31, learning_curve=curve
    )
    sentence = find(found, "training texts that it was not given")
    assert words in sentence.text
    assert "70.0% of 20, 80.0% of 40" in sentence.text
    assert "More labels" not in find(found, "does as well here").text


@pytest.mark.parametrize(
    ("score", "kind", "words"),
    [
        (0.9, "good", "read as a probability"),
        (0.99, "bad", "too high by 9 points"),
        (0.6, "bad", "too low by 30 points"),
    ],
)
def test_scores(score, kind, words):
    found = sentences(300, mistakes=30, score=score, probe_mistakes=90)
    sentence = find(found, "Scores and the share")
    assert sentence.kind == kind
    assert words in sentence.text


def test_few_texts_are_rough_and_blame_no_score():
    found = sentences(20, mistakes=4, score=0.9, probe_mistakes=9)
    assert "5.0 points of accuracy" in find(found, "figures are rough").text
    assert "chance" in find(found, "Scores and the share").text
    assert not [one for one in found if one.kind == "bad"]
