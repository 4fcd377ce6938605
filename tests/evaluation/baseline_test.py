import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from bert_tf.evaluation import baseline
from tests.conftest import review_rows


def review_arrays(count):
    texts, labels = zip(*review_rows(count), strict=True)
    return (list(texts),), np.array([label == "pos" for label in labels], int)


@pytest.mark.parametrize("classes", [2, 3])
def test_equals_scikit_learn_also_when_read_back(tmp_path, classes):
    segments, labels = review_arrays(90)
    labels = labels if classes == 2 else np.arange(90) % 3
    trained = baseline.train(segments, labels, num_classes=classes, seed=1)
    vectorizer = baseline._vectorizer()
    features = vectorizer.fit_transform(segments[0])
    expected = LogisticRegression(C=10.0, max_iter=300).fit(features, labels)
    path = str(tmp_path / "baseline.npz")
    trained.write(path)
    for model in (trained, baseline.read(path)):
        np.testing.assert_allclose(
            model.probabilities(segments),
            expected.predict_proba(features),
            atol=1e-5,
        )


def test_it_learns_words():
    segments, labels = review_arrays(120)
    trained = baseline.train(segments, labels, num_classes=2, seed=1)
    answers = trained.probabilities((["was awful", "was great"],))
    assert answers.argmax(axis=1).tolist() == [0, 1]


def test_a_class_that_training_lacks_is_never_answered():
    segments, labels = review_arrays(40)
    trained = baseline.train(segments, labels * 2, num_classes=3, seed=1)
    assert (trained.probabilities(segments)[:, 1] == 0).all()


def test_texts_without_words():
    texts = (["!!", "??", "..", "--"],)
    labels = np.array([0, 1, 0, 1])
    assert baseline.train(texts, labels, num_classes=2, seed=1) is None
