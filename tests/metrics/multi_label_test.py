import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from bert_tf.metrics import multi_label
from bert_tf.metrics.regression import regression_metrics


def test_thresholds_reach_the_largest_f1():
    generator = np.random.default_rng(1)
    targets = generator.integers(0, 2, [60, 3])
    chances = (targets * 0.2 + generator.random([60, 3])) / 1.2
    targets[:, 2] = 0
    found = multi_label.best_thresholds(targets, chances)
    for label in (0, 1):
        reached = sklearn_metrics.f1_score(
            targets[:, label], chances[:, label] >= found[label]
        )
        best = max(
            sklearn_metrics.f1_score(
                targets[:, label], chances[:, label] >= limit
            )
            for limit in chances[:, label]
        )
        assert reached == pytest.approx(best)
    assert found[2] == 0.5


def test_metrics_equal_scikit_learn():
    targets = np.array([[1, 0], [1, 1], [0, 0]])
    chances = np.array([[0.9, 0.2], [0.4, 0.8], [0.1, 0.6]], np.float32)
    limits = np.array([0.3, 0.7], np.float32)
    found = multi_label.multi_label_metrics(
        targets, chances, limits, ("a", "b")
    )
    assert found["eval_f1_micro"] == found["eval_subset_accuracy"] == 1
    assert found["eval_f1_micro_at_0.5"] == pytest.approx(2 / 3)
    assert found["eval_loss"] == pytest.approx(
        np.mean(
            [sklearn_metrics.log_loss(targets[:, i], chances[:, i])
             for i in (0, 1)]
        ),
        rel=1e-5,
    )  # fmt: skip


def test_regression():
    found = regression_metrics([1.0, 2.0, 4.0], [1.0, 3.0, 3.5])
    assert found["eval_mean_squared_error"] == pytest.approx(1.25 / 3)
    assert found["eval_spearman"] == 1
    constant = regression_metrics([1.0, 2.0], [3.0, 3.0])
    assert constant["eval_pearson"] is constant["eval_spearman"] is None
