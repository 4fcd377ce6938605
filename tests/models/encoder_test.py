import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_tf.models import backbones, classifier, encoder
from bert_tf.models.dropout import Dropout, dropout_keys, no_dropout
from tests.conftest import tiny_backbone


def features(batch=4, length=7, pairs=True):
    """Texts of different lengths, of one or two segments."""
    generator = np.random.default_rng(length)
    lengths = np.maximum(length - np.arange(batch), 2)[:, np.newaxis]
    positions = np.arange(length)[np.newaxis]
    mask = positions < lengths
    ids = generator.integers(5, 60, [batch, length])
    segments = (positions >= 3) & mask & pairs
    return {
        "token_ids": tf.constant(ids * mask, tf.int32),
        "segment_ids": tf.constant(segments, tf.int32),
        "padding_mask": tf.constant(mask, tf.int32),
    }


def trained_backbone(**kwargs):
    """A backbone whose biases and scales are not 0 and 1."""
    return disturb(tiny_backbone(**kwargs))


def disturb(backbone):
    generator = np.random.default_rng(1)
    backbone.set_weights(
        [
            weight + generator.normal(0, 0.1, weight.shape)
            for weight in backbone.get_weights()
        ]
    )
    return backbone


def pooled_output(backbone, inputs):
    return encoder.pooled_output(
        backbones.encoder_weights(backbone),
        inputs,
        num_heads=backbone.num_heads,
        drop=no_dropout,
    )


def sequence_output(backbone, inputs, **kwargs):
    return encoder.sequence_output(
        backbones.encoder_weights(backbone),
        inputs,
        num_heads=backbone.num_heads,
        drop=no_dropout,
        **kwargs,
    )


@pytest.mark.parametrize("num_layers", [1, 3])
def test_all_tokens_equal_the_layers_of_kerasnlp(num_layers):
    backbone = trained_backbone(num_layers=num_layers)
    inputs = features(length=9)
    output = sequence_output(backbone, inputs)
    mask = inputs["padding_mask"].numpy().astype(bool)
    np.testing.assert_allclose(
        output.numpy()[mask],
        backbone(inputs)["sequence_output"].numpy()[mask],
        atol=1e-5,
    )


def classify(model, inputs):
    return classifier.classify(
        classifier.classifier_weights(model), inputs, num_heads=2
    )


@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("length", [2, 7, 32])
def test_equals_the_layers_of_kerasnlp(num_layers, length):
    backbone = trained_backbone(num_layers=num_layers)
    inputs = features(length=length)
    np.testing.assert_allclose(
        pooled_output(backbone, inputs),
        backbone(inputs)["pooled_output"],
        atol=1e-5,
    )


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_computes_in_the_precision_of_the_backbone(policy):
    backbone = trained_backbone(dtype=policy)
    inputs = features()
    output = pooled_output(backbone, inputs)
    assert output.dtype == backbone.compute_dtype
    np.testing.assert_allclose(
        tf.cast(output, tf.float32),
        tf.cast(backbone(inputs)["pooled_output"], tf.float32),
        atol=0.06,
    )


def test_trains_as_the_layers_of_keras_do():
    """The loss curves are the same within float32 noise."""

    def losses(forward, count=25):
        keras.utils.set_random_seed(4)
        model = classifier.build_classifier(
            tiny_backbone(dropout=0.0), num_classes=3, dropout=0.0
        )
        optimizer = keras.optimizers.AdamW(2e-3)
        optimizer.build(model.trainable_variables)
        batches = [features(length=length) for length in (5, 9, 16)]
        labels = tf.constant([0, 1, 2, 1])

        @tf.function(reduce_retracing=True)
        def step(batch):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(
                    tf.nn.sparse_softmax_cross_entropy_with_logits(
                        labels, forward(model, batch)["logits"]
                    )
                )
            values = [v.value for v in model.trainable_variables]
            optimizer.apply(
                [tf.convert_to_tensor(g) for g in tape.gradient(loss, values)]
            )
            return loss

        return [float(step(batches[i % 3])) for i in range(count)]

    plain = losses(lambda model, batch: model(batch, training=True))
    fast = losses(classify)
    assert plain[-1] < 0.7 * plain[0]
    np.testing.assert_allclose(fast, plain, atol=1e-4)


@pytest.mark.parametrize("pool", [encoder.pooled_output, encoder.mean_output])
def test_without_padding_it_is_the_same(pool):
    """The output, what is dropped, and every gradient."""
    backbone = trained_backbone()
    inputs = features(length=9)
    drop = Dropout(0.2, dropout_keys(1, tf.constant(3), tf.range(4)))
    goal = tf.random.stateless_normal([4, backbone.hidden_dim], [1, 2])
    variables = [v.value for v in backbone.trainable_variables]
    outputs, gradients = [], []
    for skip_padding in (False, True):
        with tf.GradientTape() as tape:
            output = pool(
                backbones.encoder_weights(backbone),
                inputs,
                num_heads=backbone.num_heads,
                drop=drop,
                skip_padding=skip_padding,
            )
            loss = tf.reduce_sum(output * goal)
        outputs.append(output)
        gradients.append(
            [
                tf.convert_to_tensor(gradient)
                for gradient in tape.gradient(
                    loss, variables, unconnected_gradients="zero"
                )
            ]
        )
    np.testing.assert_allclose(*outputs, atol=1e-5)
    for padded, skipped in zip(*gradients, strict=True):
        np.testing.assert_allclose(padded, skipped, atol=2e-5)
    assert sum(float(tf.norm(one)) for one in gradients[1]) > 1


def test_training_flops_are_six_for_each_weight_and_the_attention():
    backbone = tiny_backbone()
    weights = sum(
        math.prod(weight.shape)
        for weight in backbone.get_layer("transformer_layer_0").weights
        if "kernel" in weight.path
    )
    lengths = np.array([0.0, 7.0])
    found = encoder.layer_training_flops(backbone, lengths)
    # Scores and their sums: two products of width x length, 6 FLOPs each.
    assert found.tolist() == [
        6 * weights,
        6 * weights + 2 * 6 * backbone.hidden_dim * 7,
    ]
