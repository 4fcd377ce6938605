import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from bert_tf.evaluation import metric_intervals
from bert_tf.metrics import calibration


def overconfident(rows=4000, temperature=2.5, classes=3):
    """Labels drawn from the true chances, and chances sharpened since."""
    generator = np.random.default_rng(5)
    logits = generator.normal(0, 2, (rows, classes))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([generator.choice(classes, p=p) for p in true])
    return labels, calibration.with_temperature(true, 1 / temperature), true


def test_the_temperature_is_found_again():
    labels, sharp, true = overconfident()
    assert calibration.fit_temperature(labels, sharp) == pytest.approx(
        2.5, rel=0.1
    )
    assert calibration.fit_temperature(labels, true) == pytest.approx(
        1.0, rel=0.1
    )


def test_scaling_changes_no_label_and_mends_the_error():
    labels, sharp, _ = overconfident()
    temperature = calibration.fit_temperature(labels, sharp)
    mended = calibration.with_temperature(sharp, temperature)
    assert (mended.argmax(axis=1) == sharp.argmax(axis=1)).all()
    before = calibration.expected_calibration_error(labels, sharp)
    after = calibration.expected_calibration_error(labels, mended)
    assert before > 0.1 and after < 0.03


def test_reliability_equals_scikit_learn():
    labels, sharp, _ = overconfident()
    table = calibration.reliability(labels, sharp)
    accuracy, confidence = calibration_curve(
        sharp.argmax(axis=1) == labels, sharp.max(axis=1), n_bins=15
    )
    np.testing.assert_allclose(table["accuracy"], accuracy)
    np.testing.assert_allclose(table["confidence"], confidence)
    assert table["count"].sum() == len(labels)


def test_no_mistakes_still_make_a_finite_temperature():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]])
    temperature = calibration.fit_temperature(np.array([0, 1]), probabilities)
    assert 0 < temperature < 1
    assert np.isfinite(
        calibration.with_temperature(np.eye(2), temperature)
    ).all()


def test_thresholds():
    scores = np.array([0.1, 0.4, 0.6, 0.8, 0.9])
    truth = np.array([False, True, False, True, True])
    table = metric_intervals.threshold_table(truth, scores).set_index(
        "threshold"
    )
    assert table.loc[0.5, "precision"] == pytest.approx(2 / 3)
    assert table.loc[0.5, "recall"] == pytest.approx(2 / 3)
    assert np.isnan(table.loc[0.95, "precision"])
    found = metric_intervals.for_precision(truth, scores, (0.75, 0.9))
    # 0.4 finds all three, with one false alarm among four.
    assert found[0]["threshold"] == 0.4 and found[0]["recall"] == 1.0
    assert found[1]["threshold"] == 0.8
    assert found[1]["precision"] == 1.0


def test_a_precision_out_of_reach():
    truth, scores = np.array([True, False]), np.array([0.2, 0.9])
    (found,) = metric_intervals.for_precision(truth, scores, (0.9,))
    assert found["threshold"] is None
    assert not len(
        metric_intervals.operating_points(np.zeros(2, bool), scores)[0]
    )


def test_the_error_of_perfect_scores_shrinks_with_more_rows():
    generator = np.random.default_rng(0)
    limits = []
    for rows in (50, 5_000):
        scores = generator.uniform(0.5, 1.0, rows)
        probabilities = np.stack([scores, 1 - scores], axis=1)
        limit = calibration.error_by_chance(probabilities)
        errors = [
            calibration.expected_calibration_error(
                (generator.random(rows) > scores).astype(int), probabilities
            )
            for _ in range(40)
        ]
        # 38 of 40 on average.
        assert 34 <= sum(error <= limit for error in errors) <= 40
        limits.append(limit)
    assert limits[1] < 0.3 * limits[0]
