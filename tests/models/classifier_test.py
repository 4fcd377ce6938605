import keras
import numpy as np

from bert_tf.models import classifier
from bert_tf.tasks.classification import Classification
from tests.conftest import tiny_backbone


def inputs(batch=3, length=6):
    generator = np.random.default_rng(0)
    return {
        "token_ids": generator.integers(5, 60, [batch, length]).astype("int32"),
        "segment_ids": np.zeros([batch, length], np.int32),
        "padding_mask": np.ones([batch, length], np.int32),
    }


def test_padding_changes_nothing():
    model = classifier.build_classifier(
        tiny_backbone(), num_classes=4, dropout=0.1
    )
    short = inputs()
    padded = {
        name: np.pad(value, [(0, 0), (0, 5)]) for name, value in short.items()
    }
    one, two = model(short), model(padded)
    np.testing.assert_allclose(one["logits"], two["logits"], atol=1e-6)
    sums = one["probabilities"].numpy().sum(axis=1)
    np.testing.assert_allclose(sums, 1, atol=1e-6)


def test_head_is_float32_under_mixed_precision():
    model = classifier.build_classifier(
        tiny_backbone(dtype="mixed_bfloat16"), num_classes=3, dropout=0.1
    )
    outputs = model(inputs())
    assert outputs["logits"].dtype == "float32"
    assert outputs["probabilities"].dtype == "float32"


def test_frozen_backbone_trains_the_head_only():
    model = classifier.build_classifier(
        tiny_backbone(dropout=0.0),
        num_classes=3,
        dropout=0.0,
        freeze_backbone=True,
    )
    assert [v.path for v in model.trainable_variables] == [
        "logits/kernel",
        "logits/bias",
    ]
    np.testing.assert_array_equal(
        model(inputs(), training=True)["logits"], model(inputs())["logits"]
    )


def test_loss_is_cross_entropy():
    logits = np.array([[2.0, 0.0], [0.0, 1.0]], np.float32)
    labels = np.array([0, 0], np.int32)
    expected = -np.log(np.exp(logits[:, 0]) / np.exp(logits).sum(axis=1))
    np.testing.assert_allclose(
        Classification(("a", "b")).loss(labels, logits), expected, rtol=1e-6
    )


def test_logits_of_tokens_start_with_a_variance_of_about_1():
    keras.utils.set_random_seed(1)
    model = classifier.build_classifier(
        tiny_backbone(),
        num_classes=64,
        dropout=0.0,
        is_per_token=True,
    )
    logits = model(inputs(batch=8))["logits"].numpy()
    assert logits.shape == (8, 6, 64)
    assert 0.7 < logits.var() < 1.4


def test_a_pooler_that_was_not_trained_is_trained_with_the_head():
    for has_pooler, names in ((True, []), (False, ["pooled_dense"] * 2)):
        model = classifier.build_classifier(
            tiny_backbone(), num_classes=2, dropout=0.0, freeze_backbone=True,
            has_pooler=has_pooler,
        )  # fmt: skip
        trained = [
            variable.path.split("/")[-2]
            for variable in model.trainable_variables
        ]
        assert trained == [*names, "logits", "logits"]


def test_mean_pooling_equals_keras():
    model = classifier.build_classifier(
        tiny_backbone(), num_classes=3, dropout=0.1, pooling=classifier.MEAN
    )
    assert classifier.pooling_of(model) == classifier.MEAN
    # Nothing comes from the pooler.
    assert not [v for v in model.trainable_variables if "pooled" in v.path]
    features = {
        "token_ids": np.array([[2, 6, 8, 3], [2, 7, 3, 0]], np.int32),
        "segment_ids": np.zeros([2, 4], np.int32),
        "padding_mask": np.array([[1, 1, 1, 1], [1, 1, 1, 0]], np.int32),
    }
    found = classifier.classify(
        classifier.classifier_weights(model), features, num_heads=2,
        pooling=classifier.MEAN,
    )  # fmt: skip
    expected = model(features)
    for name in ("logits", "probabilities", "embedding"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)
