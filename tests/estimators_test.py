"""scikit-learn's verbs, on a tiny model."""

import os
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn import base, model_selection, pipeline, preprocessing
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks

import bert_tf
from bert_tf.errors import InputError
from tests.conftest import LETTERS, review_rows

TEXTS, LABELS = map(np.array, zip(*review_rows(60), strict=True))


@pytest.fixture(scope="module")
def settings(preset) -> dict:
    """The linear probe alone: a second a fit."""
    return {
        "preset": preset, "max_seq_length": 16, "num_train_epochs": 0,
        "validation_split": 0.2, "contrastive": "false", "pooling": "mean",
    }  # fmt: skip


@pytest.fixture(scope="module")
def fitted(settings) -> bert_tf.BertClassifier:
    return bert_tf.BertClassifier(**settings).fit(TEXTS, LABELS)


def test_parameters_are_those_of_scikit_learn(settings):
    one = bert_tf.BertClassifier(**settings)
    assert one.get_params()["contrastive"] == "false"
    assert one.get_params()["learning_rate"] is None
    other = base.clone(one).set_params(learning_rate=0.1, dropout=0.2)
    assert other.get_params() == {
        **one.get_params(), "learning_rate": 0.1, "dropout": 0.2,
    }  # fmt: skip
    assert "dropout" not in one.get_params()
    with pytest.raises(InputError, match="Did you mean learning_rate"):
        one.set_params(learning_rates=0.1)
    with pytest.raises(InputError, match="no setting learning_rats"):
        bert_tf.BertClassifier(learning_rats=1.0).fit(TEXTS, LABELS)


def test_classes_are_those_given(fitted, settings):
    assert list(fitted.classes_) == ["neg", "pos"]
    scores = fitted.predict_proba(list(TEXTS))
    assert scores.shape == (60, 2)
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, atol=1e-5)
    answers = fitted.predict(pd.Series(TEXTS))
    assert (answers == fitted.classes_[scores.argmax(axis=1)]).all()
    assert fitted.score(TEXTS, LABELS) == (answers == LABELS).mean() > 0.6
    numbers = np.where(LABELS == "pos", 10, 9)
    other = bert_tf.BertClassifier(**settings).fit(TEXTS, numbers)
    assert list(other.classes_) == [9, 10]
    assert other.predict(TEXTS).dtype == numbers.dtype
    assert other.score(TEXTS, numbers) > 0.6


def test_saved_loaded_and_pickled(fitted, tmp_path):
    fitted.save(tmp_path / "saved")
    expected = fitted.predict_proba(TEXTS)
    for other in (
        bert_tf.BertClassifier.load(tmp_path / "saved"),
        pickle.loads(pickle.dumps(fitted)),
    ):
        assert other.get_params() == fitted.get_params()
        np.testing.assert_array_equal(other.predict_proba(TEXTS), expected)
        np.testing.assert_array_equal(other.classes_, fitted.classes_)
    with pytest.raises(InputError, match="not an empty folder"):
        fitted.save(tmp_path / "saved")
    with pytest.raises(InputError, match="not written by BertClassifier.save"):
        bert_tf.BertClassifier.load(tmp_path)


@pytest.mark.slow
def test_folds_search_and_pipelines(settings):
    one = bert_tf.BertClassifier(**settings)
    answers = model_selection.cross_val_predict(one, TEXTS, LABELS, cv=2)
    assert (answers == LABELS).mean() > 0.6
    # A parameter of the last step, by its name.
    search = model_selection.GridSearchCV(
        pipeline.make_pipeline(
            preprocessing.FunctionTransformer(np.char.lower), one
        ),
        {"bertclassifier__pooling": ["cls", "mean"]}, cv=2,
    )  # fmt: skip
    search.fit(np.char.upper(TEXTS), LABELS)
    assert set(search.best_params_.values()) <= {"cls", "mean"}
    assert len(search.predict(TEXTS)) == 60


def test_a_weight_of_none_is_a_row_less(settings):
    """The probe of rows, half of them without weight, is that of the others."""
    noise = np.where(LABELS == "pos", "neg", "pos")
    texts, labels = np.r_[TEXTS, TEXTS], np.r_[LABELS, noise]
    weight = np.r_[np.ones(60), np.zeros(60)]
    one = bert_tf.BertClassifier(**settings)
    weighted = one.fit(texts, labels, sample_weight=weight).score(TEXTS, LABELS)
    assert weighted > one.fit(texts, labels).score(TEXTS, LABELS) + 0.1
    with pytest.raises(InputError, match="one number a row, 120 in all"):
        one.fit(texts, labels, sample_weight=weight[1:])
    with pytest.raises(InputError, match="zero for all rows"):
        one.fit(texts, labels, sample_weight=0.0 * weight)


def test_numbers(settings, tmp_path):
    numbers = (LABELS == "pos") * 2.5
    pairs = [(text, text) for text in TEXTS]
    one = bert_tf.BertRegressor(**settings, output_dir=str(tmp_path / "run"))
    one.fit(pairs, numbers)
    assert one.predict(pairs).shape == (60,)
    assert one.score(pairs, numbers) > 0.2
    assert os.path.exists(tmp_path / "run" / "report.html")


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        (["a", None, "b"], [0, 1, 0], "row 1: None is no text"),
        ([["a", "b", "c"]], [0], "row 0: 3 texts; all rows must have"),
        ("text", [1], "several texts, not one string"),
        (["a", "b", "c"], [1, 1, 1], "y has one class"),
        (["a", "b", "c"], [0.5, 1.2, 2.2], "Unknown label type"),
        (["a", "b", "c"], [0, 1], "3 texts and y 2 labels"),
        (["a", "b", "c"], None, "y to be passed"),
        (["a", "b", "c"], np.eye(3), r"one label a text, not \(3, 3\)"),
    ],
)  # fmt: skip
def test_what_cannot_be_fitted(texts, labels, message):
    with pytest.raises(InputError, match=message):
        bert_tf.BertClassifier().fit(texts, labels)


def test_not_fitted():
    with pytest.raises(NotFittedError):
        bert_tf.BertClassifier().predict(["a"])


@pytest.mark.parametrize(
    "kind", [bert_tf.BertClassifier, bert_tf.BertRegressor]
)
@pytest.mark.parametrize(
    "name",
    [
        "estimator_tags_renamed", "valid_tag_types", "estimator_repr",
        "no_attributes_set_in_init", "estimators_unfitted", "mixin_order",
        "parameters_default_constructible", "get_params_invariance",
        "set_params",
    ],
)  # fmt: skip
def test_checks_without_data(kind, name):
    check = getattr(estimator_checks, f"check_{name}")
    check(kind.__name__, kind(num_train_epochs=0))


class OfNumbers(bert_tf.BertClassifier):
    """Takes numbers, as scikit-learn's checks give them, for words."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.one_d_array = tags.input_tags.string = False
        return tags

    def fit(self, X, y, sample_weight=None):
        return super().fit(self._texts(X), y, sample_weight)

    def _answers(self, X):
        return super()._answers(self._texts(X))

    def _texts(self, X):
        rows = np.asarray(X, float)
        letters = [[LETTERS[int(v * 4) % 26] for v in row] for row in rows]
        return [" ".join(row[:14]) for row in letters]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "estimators_overwrite_params", "dict_unchanged", "fit_idempotent",
        "fit_check_is_fitted", "methods_subset_invariance",
        "sample_weights_list", "all_zero_sample_weights_error",
        "estimators_pickle", "classifiers_one_label",
        "classifiers_regression_target", "requires_y_none",
    ],
)  # fmt: skip
def test_checks_of_words(name, settings):
    """Slow, for each trains once or more."""
    check = getattr(estimator_checks, f"check_{name}")
    check("BertClassifier", OfNumbers(**settings))
