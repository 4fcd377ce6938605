"""DistilBERT's and ELECTRA's folders, through training, export and answers."""

import json

import keras_nlp
import numpy as np
import pytest
import safetensors.numpy

from bert_tf.errors import InputError
from bert_tf.models import presets, relatives
from bert_tf.pretraining.fill_mask import MaskFiller
from bert_tf.serving.export import export
from bert_tf.serving.predictor import Predictor
from bert_tf.text.vocabulary import Vocabulary
from bert_tf.training.train import train
from tests.conftest import TOKENS
from tests.models.encoder_test import disturb, features, sequence_output

CONFIGS = {
    "distilbert": {
        "model_type": "distilbert", "vocab_size": len(TOKENS), "dim": 32,
        "n_layers": 2, "n_heads": 2, "hidden_dim": 64,
        "max_position_embeddings": 32, "activation": "gelu",
    },
    "electra": {
        "model_type": "electra", "vocab_size": len(TOKENS), "hidden_size": 32,
        "embedding_size": 32, "num_hidden_layers": 2, "hidden_act": "gelu",
        "num_attention_heads": 2, "intermediate_size": 64,
        "max_position_embeddings": 32, "type_vocab_size": 2,
    },
}  # fmt: skip
CONFIGS["narrow electra"] = {**CONFIGS["electra"], "embedding_size": 16}


def as_pytorch(name, value):
    """Rows are outputs there, and heads have no axis of their own."""
    if name.endswith(".bias"):
        return value.ravel()
    if name.startswith("embeddings.") or value.ndim == 1:
        return value
    wide = value.reshape(value.shape[0] if value.shape[0] > 2 else 32, -1)
    return np.ascontiguousarray(wide.T)


@pytest.fixture(params=CONFIGS)
def folder(request, tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    config = CONFIGS[request.param]
    kind = config["model_type"]
    build = relatives.backbone_class(config)
    backbone = disturb(build(**relatives.backbone_settings(config)))
    if kind == "distilbert":
        table = backbone.segment_embedding.embeddings
        table.assign(np.zeros(table.shape))
    tensors = {
        f"{kind}.{name}": as_pytorch(name, np.asarray(variable))
        for name, variable in relatives.named_variables(backbone, kind)
    }
    safetensors.numpy.save_file(tensors, str(path / "model.safetensors"))
    (path / "config.json").write_text(json.dumps(config))
    (path / "vocab.txt").write_text("".join(f"{token}\n" for token in TOKENS))
    return path, backbone


def test_it_is_read_back(folder):
    path, backbone = folder
    again = presets.resolve(str(path)).build_backbone(
        dropout=0.0, dtype="float32"
    )
    inputs = features()
    mask = inputs["padding_mask"].numpy().astype(bool)
    np.testing.assert_allclose(
        sequence_output(again, inputs).numpy()[mask],
        backbone(inputs)["sequence_output"].numpy()[mask],
        atol=1e-5,
    )


def test_train_export_and_predict(folder, tiny_config, tmp_path):
    train(tiny_config(preset=str(folder[0]), num_train_epochs=1))
    model = export(
        str(tmp_path / "run"), name="m", models_dir=str(tmp_path / "models")
    )
    chances = Predictor(model).probabilities((["the film was good"],))
    np.testing.assert_allclose(chances.sum(), 1, atol=1e-6)


def test_faults_are_told(folder):
    path, _ = folder
    config = json.loads((path / "config.json").read_text())
    if config["model_type"] == "electra":
        (path / "config.json").write_text(
            json.dumps({**config, "embedding_size": 8})
        )
        message = "does not fit its config.json|has no embeddings_project"
    else:
        (path / "model.safetensors").write_bytes(b"none")
        message = "model.safetensors"
    preset = presets.resolve(str(path))
    with pytest.raises(InputError, match=message):
        preset.build_backbone(dropout=0.0, dtype="float32")


@pytest.mark.parametrize(
    "changes",
    [
        {"trainable_layers": "last:1"},
        {"lora_rank": 2},
        {"layerwise_learning_rate_decay": 0.9},
    ],
)
def test_parts_of_a_narrow_backbone_are_trained(
    changes, narrow_preset, tiny_config
):
    metrics = train(
        tiny_config(preset=narrow_preset, num_train_epochs=1, **changes)
    )
    assert np.isfinite(metrics["eval_loss"])


def test_a_narrow_backbone_is_no_bert(narrow_preset):
    with pytest.raises(InputError, match="Electra, and filling masks"):
        MaskFiller(narrow_preset)


@pytest.fixture
def narrow_preset(tmp_path):
    """A KerasNLP folder."""
    folder = str(tmp_path / "narrow")
    config = CONFIGS["narrow electra"]
    backbone = keras_nlp.models.ElectraBackbone(
        **relatives.backbone_settings(config)
    )
    vocabulary = Vocabulary(TOKENS, lowercase=True, strip_accents=True)
    presets.save_preset(folder, backbone, vocabulary)
    return folder
