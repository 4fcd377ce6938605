"""Every sample's metrics are those of its rows, written out."""

import numpy as np
import pytest

from bert_tf.metrics import answers, entities, multi_label, regression

ROWS, SAMPLES = 30, 20
TAGS = ("O", "B-x", "I-x", "B-y", "I-y")
GENERATOR = np.random.default_rng(5)


def of_regression():
    # Rounded, so that there are ties.
    targets = GENERATOR.normal(size=ROWS).round(1)
    predicted = (targets + GENERATOR.normal(size=ROWS)).round(1)
    measure = regression.bootstrap_metrics(targets, predicted)
    return measure, lambda rows: regression.regression_metrics(
        targets[rows], predicted[rows]
    )


def of_labels():
    targets = (GENERATOR.random([ROWS, 3]) < (0.5, 0.3, 0.04)).astype(int)
    chances = (targets + GENERATOR.random([ROWS, 3])) / 2
    limits = np.array([0.4, 0.5, 0.6])
    measure = multi_label.bootstrap_metrics(targets, chances, limits)
    return measure, lambda rows: multi_label.multi_label_metrics(
        targets[rows], chances[rows], limits, "abc"
    )


def of_entities():
    gold, found = (
        [list(GENERATOR.choice(TAGS, size)) for size in range(1, ROWS + 1)]
        for _ in range(2)
    )
    for row in range(0, ROWS, 2):
        found[row] = gold[row]
    measure = entities.bootstrap_metrics(gold, found)
    return measure, lambda rows: entities.entity_metrics(
        [gold[row] for row in rows],
        [found[row] for row in rows],
        loss=0.0,
    )


def of_answers():
    words = ("red car", "car", "blue", "")
    found = [words[i] for i in GENERATOR.integers(0, 4, ROWS)]
    gold = [
        [words[i]] if words[i] else [] for i in GENERATOR.integers(0, 4, ROWS)
    ]
    measure = answers.bootstrap_metrics(found, gold)
    return measure, lambda rows: answers.answer_metrics(
        [found[row] for row in rows], [gold[row] for row in rows]
    )


@pytest.mark.parametrize(
    "build", [of_regression, of_labels, of_entities, of_answers]
)
def test_a_sample_has_the_metrics_of_its_rows(build):
    measure, metrics = build()
    drawn = GENERATOR.integers(0, ROWS, (SAMPLES, ROWS))
    # Of one row alone some metrics are undefined.
    drawn[-1] = drawn[-1, 0]
    weights = np.array([np.bincount(rows, minlength=ROWS) for rows in drawn])
    found = measure(weights.astype(np.float64))
    assert len(found) >= 4
    for number, rows in enumerate(drawn):
        expected = metrics(rows)
        for name, values in found.items():
            wanted = expected[name]
            if wanted is None:
                assert np.isnan(values[number]), name
            else:
                assert values[number] == pytest.approx(wanted), name
