import json

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from bert_tf.metrics import classification as metrics


def random_predictions(rows, classes):
    generator = np.random.default_rng(4)
    probabilities = generator.dirichlet(np.ones(classes), rows)
    return generator.integers(0, classes, rows), probabilities


@pytest.mark.parametrize("classes", [2, 5])
def test_equal_scikit_learn(classes):
    labels, probabilities = random_predictions(200, classes)
    names = [f"c{i}" for i in range(classes)]
    values = metrics.classification_metrics(labels, probabilities, names)
    predicted = probabilities.argmax(axis=1)
    assert values["eval_accuracy"] == np.mean(labels == predicted)
    assert values["eval_f1_macro"] == sklearn_metrics.f1_score(
        labels, predicted, average="macro"
    )
    assert values["eval_roc_auc"] == pytest.approx(
        sklearn_metrics.roc_auc_score(
            labels,
            probabilities[:, 1] if classes == 2 else probabilities,
            multi_class="ovr",
        )
    )
    assert values["eval_loss"] == pytest.approx(
        -np.log(probabilities[np.arange(200), labels]).mean()
    )
    assert np.sum(values["confusion_matrix"]) == 200


def test_every_number_is_finite_or_null():
    labels = np.zeros(3, np.int64)
    probabilities = np.array([[1.0, 0, 0]] * 3, np.float32)
    values = metrics.classification_metrics(labels, probabilities, "abc")
    assert values["eval_roc_auc"] is None
    json.dumps(values, allow_nan=False)


@pytest.mark.parametrize(
    ("names", "positive"),
    [
        (("0", "1"), "1"),
        (("no", "yes"), "yes"),
        (("disaster", "not_disaster"), "disaster"),
        (("non-spam", "spam"), "spam"),
        (("related", "unrelated"), "related"),
        (("ham", "spam"), "spam"),
        (("false", "true"), "true"),
        (("Yes", "never"), "Yes"),
        (("pos", "rest"), "pos"),
    ],
)
def test_positive_class(names, positive):
    assert metrics.positive_class(names) == positive
    # Whichever is rarer: the names say it.
    if names != ("ham", "spam"):
        assert metrics.positive_class(names, [1, 9]) == positive
        assert metrics.positive_class(names, [9, 1]) == positive


def test_the_rarer_class_is_positive():
    names = ("fraud", "legit")
    assert metrics.positive_class(names, [3, 90]) == "fraud"
    assert metrics.positive_class(names, [90, 3]) == "legit"


def test_f1_is_of_the_positive_class():
    labels = np.array([0, 0, 1, 1])
    probabilities = np.eye(2)[[0, 1, 1, 1]]
    values = metrics.classification_metrics(
        labels, probabilities, ("disaster", "not_disaster")
    )
    assert values["eval_precision"] == 1.0
    assert values["eval_recall"] == 0.5
