import numpy as np
import pytest

from bert_tf.tasks import linear_probe
from bert_tf.tasks.regression import Regression


def softmax(logits):
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


@pytest.fixture
def features():
    """Three clusters, on scales as different as those of a backbone."""
    generator = np.random.default_rng(0)
    ids = np.repeat([0, 1, 2], 30)
    centres = np.eye(3, 6) * 4
    noise = generator.normal(size=[90, 6])
    return ((centres[ids] + noise) * [1, 10, 0.1, 1, 5, 1]), ids


def test_learning_curve():
    """It rises, on rows held out; there is none of too few rows."""
    generator = np.random.default_rng(0)
    features = generator.normal(size=[400, 50])
    ids = (features[:, :10].sum(axis=1) > 0).astype(int)
    curve = linear_probe.learning_curve(features, ids)
    assert list(curve) == [80, 160, 320]
    assert 0.6 < curve[80] < curve[160] < curve[320] < 1
    assert linear_probe.learning_curve(features[:99], ids[:99]) == {}
    one_class = linear_probe.learning_curve(features, np.zeros(400, int))
    assert one_class == {}


def test_classes(features):
    features, ids = features
    kernel, bias = linear_probe.fit_classes(features, ids, np.ones(90), 3)
    assert kernel.shape == (6, 3)
    assert kernel.dtype == bias.dtype == np.float32
    probabilities = softmax(features @ kernel + bias)
    assert (probabilities.argmax(axis=1) == ids).mean() > 0.95
    # A sure answer where it may be sure: the strength was chosen.
    assert probabilities.max(axis=1).mean() > 0.7


def test_rows_count_as_much_as_their_weights(features):
    features, ids = features
    two = np.minimum(ids, 1)
    shares = []
    for weight in (0.1, 1.0, 10.0):
        weights = np.where(two == 0, weight, 1.0)
        # Without features a model knows how frequent the classes are.
        kernel, bias = linear_probe.fit_classes(
            np.zeros_like(features), two, weights, 2
        )
        assert not kernel.any()
        shares.append(softmax(bias[np.newaxis])[0, 0])
    expected = [3 / 63, 30 / 90, 300 / 360]
    np.testing.assert_allclose(shares, expected, atol=0.01)


def test_a_class_without_rows_is_never_chosen(features):
    features, ids = features
    kernel, bias = linear_probe.fit_classes(
        features, np.array([0, 2, 3])[ids], np.ones(90), 5
    )
    chosen = set((features @ kernel + bias).argmax(axis=1))
    assert chosen == {0, 2, 3}


def test_a_class_with_one_row(features):
    features, ids = features
    rows = [0, *range(30, 90)]
    linear_probe.fit_classes(features[rows], ids[rows], np.ones(61), 3)


def test_labels(features):
    features, ids = features
    targets = np.stack([ids == 0, ids != 1, ids >= 0, ids < 0], 1).astype(int)
    kernel, bias = linear_probe.fit_labels(features, targets, np.ones(90))
    logits = features @ kernel + bias
    assert ((logits > 0) == targets).mean() > 0.95
    # What every row has, or none, is a constant.
    assert not kernel[:, 2:].any()


def test_numbers(features):
    features, _ = features
    targets = features[:, 1:2] * 3 + 7
    kernel, bias = linear_probe.fit_numbers(features, targets, np.ones(90))
    error = features @ kernel + bias - targets
    assert np.abs(error).mean() < 0.2 * targets.std()


def test_features_that_hardly_vary_have_no_large_weights(features):
    """As those of a pooler near 1, of which dropout drops some."""
    features, ids = features
    features = 1 + 1e-4 * features
    kernel, bias = linear_probe.fit_classes(features, ids, np.ones(90), 3)
    assert np.abs(kernel).max() < 10
    dropped = features * (np.arange(6) != 1)
    assert np.abs(dropped @ kernel + bias).max() < 5


def test_numbers_of_any_scale(features):
    """The head learns standardized targets, and so does the probe."""
    features, _ = features
    targets = features[:, 1:2] * 3 + 7
    heads = [
        Regression(
            mean=float(values.mean()), deviation=float(values.std())
        ).fit_linear_probe(features, values, np.ones(90))
        for values in (targets, 1000 * targets + 500)
    ]
    for one, other in zip(*heads, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
