"""Folders of BERT's relatives, through training, export and answers."""

import functools
import json
import shutil

import keras_nlp
import numpy as np
import pytest

from bert_tf.errors import InputError
from bert_tf.inference.saved_model_predictor import SavedModelPredictor
from bert_tf.presets import presets, transformers
from bert_tf.pretraining.fill_mask import MaskFiller
from bert_tf.serving.export import export
from bert_tf.text.vocabulary import Vocabulary
from bert_tf.training.train import train_files as train
from tests.conftest import TOKENS
from tests.models.encoder_test import features, sequence_output
from tests.presets.folders import CONFIGS, write_folder
from tests.runs import evaluate_files
from tests.training.finetuning_test import (
    Weights,
    check_last_layer,
    check_lora,
)


@pytest.fixture(params=CONFIGS)
def folder(request, tmp_path):
    path = tmp_path / "folder"
    return path, write_folder(request.param, path)


def test_it_is_read_back(folder):
    path, backbone = folder
    preset = presets.resolve(str(path))
    again = preset.build_backbone(dropout=0.0, dtype="float32")
    inputs = features()
    mask = inputs["padding_mask"].numpy().astype(bool)
    expected = backbone({name: inputs[name] for name in backbone.input})
    is_roberta = isinstance(backbone, keras_nlp.models.RobertaBackbone)
    if not is_roberta:
        expected = expected["sequence_output"]
    np.testing.assert_allclose(
        # Of KerasNLP's layers, RoBERTa's alone have GELU itself.
        sequence_output(again, inputs, exact_gelu=is_roberta).numpy()[mask],
        expected.numpy()[mask],
        atol=1e-5,
    )


# An ELECTRA as wide as its embeddings is a BERT from there on.
@pytest.mark.parametrize(
    "folder",
    [kind for kind in CONFIGS if kind != "electra"],
    indirect=True,
)
@pytest.mark.slow
def test_train_export_and_predict(folder, tiny_config, tmp_path, review_file):
    train(tiny_config(preset=str(folder[0]), num_train_epochs=1))
    # A run needs nothing of the preset any more.
    shutil.rmtree(folder[0])
    run = str(tmp_path / "run")
    model = export(run, name="m", models_dir=str(tmp_path / "models"))
    chances = SavedModelPredictor(model).probabilities((["the film was good"],))
    np.testing.assert_allclose(chances.sum(), 1, atol=1e-6)
    of_model, of_run = (
        evaluate_files(path, [review_file]).metrics for path in (model, run)
    )
    assert of_model["eval_loss"] == pytest.approx(of_run["eval_loss"], abs=1e-4)


def test_faults_are_told(folder):
    path, _ = folder
    config = json.loads((path / "config.json").read_text())
    if config["model_type"] == "electra":
        (path / "config.json").write_text(
            json.dumps({**config, "embedding_size": 8})
        )
        message = "does not fit its config.json|has no embeddings_project"
    elif config["model_type"] == "roberta":
        (path / "config.json").write_text(
            json.dumps({**config, "layer_norm_eps": 1e-12})
        )
        message = "config.json has layer_norm_eps=1e-12; supported: 1e-05"
    else:
        (path / "model.safetensors").write_bytes(b"none")
        message = "model.safetensors"
    with pytest.raises(InputError, match=message):
        preset = presets.resolve(str(path))
        preset.build_backbone(dropout=0.0, dtype="float32")


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"lora_rank": 2}, check_lora),
        (
            {
                "trainable_layers": "last:1",
                "layerwise_learning_rate_decay": 0.5,
            },
            functools.partial(check_last_layer, rate=1e-3, decay=0.5),
        ),
    ],
    ids=["LoRA", "last layer"],
)
def test_parts_of_a_narrow_backbone_are_trained(
    changes, check, narrow_preset, tiny_config, tmp_path
):
    noted = Weights()
    train(
        tiny_config(
            preset=narrow_preset, num_train_epochs=1, learning_rate=1e-3,
            warmup_proportion=0.0, head_init="random", calibrate=False,
            **changes,
        ),
        callbacks=[noted],
    )  # fmt: skip
    check(noted, tmp_path / "run")


def test_a_narrow_backbone_is_no_bert(narrow_preset):
    with pytest.raises(InputError, match="a ElectraBackbone, and fill"):
        MaskFiller(narrow_preset)


@pytest.fixture
def narrow_preset(tmp_path):
    """A KerasNLP folder."""
    folder = str(tmp_path / "narrow")
    config = {**CONFIGS["narrow electra"], "vocab_size": len(TOKENS)}
    backbone = keras_nlp.models.ElectraBackbone(
        **transformers.backbone_settings(config)
    )
    vocabulary = Vocabulary(TOKENS, lowercase=True, strip_accents=True)
    presets.save_preset(folder, backbone, vocabulary)
    return folder
