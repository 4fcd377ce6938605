"""Google's original checkpoints, written as TensorFlow 1 does."""

import json

import numpy as np
import pytest
import tensorflow as tf

from bert_tf.errors import InputError
from bert_tf.presets import google, presets
from bert_tf.training.train import train_files as train
from tests.conftest import TOKENS
from tests.models.encoder_test import features, trained_backbone

CONFIG = {
    "vocab_size": len(TOKENS), "hidden_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 2, "intermediate_size": 64, "type_vocab_size": 2,
    "max_position_embeddings": 32, "hidden_act": "gelu",
}  # fmt: skip


def original_shape(name, value):
    """There attention has no axis of its own for the heads."""
    if name.endswith("/bias"):
        return value.ravel()
    if "/attention/self/" in name:
        return value.reshape(32, 32)
    if "/attention/output/dense/kernel" in name:
        return value.reshape(32, 32)
    return value


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "uncased_L-2_H-32_A-2"
    path.mkdir()
    backbone = trained_backbone()
    values = {
        name: original_shape(name, np.asarray(variable))
        for name, variable in google.named_variables(backbone)
    }
    assert len(values) == 5 + 2 * 16 + 2
    with tf.Graph().as_default():
        for name, value in values.items():
            tf.compat.v1.get_variable(name, initializer=value)
        # As in the published ones: heads of pretraining, and Adam's slots.
        tf.compat.v1.get_variable("cls/predictions/output_bias", [len(TOKENS)])
        with tf.compat.v1.Session() as session:
            session.run(tf.compat.v1.global_variables_initializer())
            tf.compat.v1.train.Saver().save(
                session, str(path / "bert_model.ckpt"), write_meta_graph=False
            )
    (path / "bert_config.json").write_text(json.dumps(CONFIG))
    (path / "vocab.txt").write_text("".join(f"{token}\n" for token in TOKENS))
    return path, backbone


def test_it_is_read_back(folder):
    path, backbone = folder
    preset = presets.resolve(str(path))
    assert preset.vocabulary.lowercase and preset.max_positions == 32
    again = preset.build_backbone(dropout=0.0, dtype="float32")
    for weight, other in zip(again.weights, backbone.weights, strict=True):
        np.testing.assert_array_equal(weight, other, weight.path)
    # Two graphs of the same products may differ in their last bits.
    np.testing.assert_allclose(
        again(features())["pooled_output"],
        backbone(features())["pooled_output"],
        atol=1e-6,
    )


@pytest.mark.slow
def test_it_trains(folder, tiny_config):
    metrics = train(tiny_config(preset=str(folder[0]), num_train_epochs=1))
    assert np.isfinite(metrics["eval_loss"])


def test_case_by_name_then_by_vocabulary():
    for name, tokens, lowercase in (
        ("uncased_L-2", ("The",), True),
        ("cased_L-2", ("the",), False),
        ("bert", ("[CLS]", "the"), True),
        ("bert", ("[CLS]", "The"), False),
    ):
        assert google.is_lowercase(name, tokens) == lowercase


def test_faults_are_told(folder):
    path, _ = folder
    config = {**CONFIG, "intermediate_size": 65}
    (path / "bert_config.json").write_text(json.dumps(config))
    preset = presets.resolve(str(path))
    with pytest.raises(InputError, match="does not fit bert_config.json"):
        preset.build_backbone(dropout=0.0, dtype="float32")
    (path / "bert_model.ckpt.index").unlink()
    with pytest.raises(InputError, match="has no bert_model.ckpt.index"):
        preset.build_backbone(dropout=0.0, dtype="float32")
