import dataclasses
import json
import shutil

import keras_nlp
import numpy as np
import pytest

from bert_tf.errors import InputError
from bert_tf.models import backbones
from bert_tf.presets import presets
from tests.conftest import TOKENS, minilm_folder, tiny_backbone


def transformers_folder(tmp_path, **changes) -> str:
    """Writes the small files of a Transformers folder, without weights."""
    config = {
        "model_type": "bert",
        "vocab_size": len(TOKENS),
        "max_position_embeddings": 32,
        **changes,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "vocab.txt").write_text("\n".join(TOKENS) + "\n")
    # Not read when a preset is found.
    (tmp_path / "model.safetensors").touch()
    return str(tmp_path)


def test_keras_folder(preset):
    found = presets.resolve(preset)
    assert found.vocabulary.tokens == TOKENS
    # KerasNLP's own tokenizer keeps accents, which the vocabulary lacks.
    assert found.vocabulary.lowercase and found.vocabulary.strip_accents
    assert found.max_positions == 32
    backbone = found.build_backbone(dropout=0.3, dtype="float32")
    assert backbone.dropout == 0.3


def test_transformers_folder(tmp_path):
    folder = transformers_folder(tmp_path)
    assert presets.resolve(folder).vocabulary.strip_accents
    (tmp_path / "tokenizer_config.json").write_text(
        '{"do_lower_case": true, "strip_accents": false}'
    )
    assert not presets.resolve(folder).vocabulary.strip_accents
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    assert not presets.resolve(folder).vocabulary.lowercase


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"vocab_size": 30}, "do not belong together"),
        ({"model_type": "gpt2"}, "supported are bert, distilbert"),
    ],
)
def test_folders_that_do_not_fit(tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        presets.resolve(transformers_folder(tmp_path, **changes))


def test_folder_without_weights_that_can_be_read(tmp_path):
    folder = transformers_folder(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"no model\.safetensors"):
        presets.resolve(folder)


def test_folder_without_config(tmp_path):
    with pytest.raises(InputError, match=r"no config\.json"):
        presets.resolve(str(tmp_path))


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(InputError) as error:
        presets.resolve("bert_base_en_uncase")
    assert "Did you mean --preset=bert_base_en_uncased?" in str(error.value)


def test_vocabulary_of_another_model_is_refused(preset, tmp_path):
    folder = str(tmp_path / "preset")
    shutil.copytree(preset, folder)
    path = tmp_path / "preset" / "assets" / "tokenizer" / "vocabulary.txt"
    path.write_text(path.read_text() + "another\n")
    with pytest.raises(InputError, match="do not belong together"):
        presets.resolve(folder)


def test_backbone_config_round_trip(tmp_path):
    path = str(tmp_path / "backbone.json")
    backbone = tiny_backbone(dropout=0.25)
    backbones.save_config(path, backbone)
    rebuilt = backbones.from_config(path, dtype="float32")
    rebuilt.set_weights(backbone.get_weights())
    inputs = {
        name: np.ones([2, 5], np.int32)
        for name in ("token_ids", "segment_ids", "padding_mask")
    }
    np.testing.assert_array_equal(
        backbone(inputs)["pooled_output"], rebuilt(inputs)["pooled_output"]
    )


def test_the_offline_default():
    folder = minilm_folder()
    found = presets.resolve("minilm_l6_en_uncased")
    assert found.source == folder
    assert len(found.vocabulary.tokens) == 30_522
    assert found.max_positions == 512
    backbone = found.build_backbone(dropout=0.1, dtype="float32")
    assert backbone.num_layers == 6


def test_accents_that_stay_are_kept(tmp_path, vocabulary):
    kept = dataclasses.replace(vocabulary, strip_accents=False)
    for name, one in (("kept", kept), ("stripped", vocabulary)):
        folder = str(tmp_path / name)
        presets.save_preset(folder, tiny_backbone(), one)
        assert presets.resolve(folder).vocabulary == one
        # KerasNLP still reads it.
        keras_nlp.models.BertTokenizer.from_preset(folder)


@pytest.mark.parametrize(
    "changes",
    [{"hidden_act": "relu"}, {"position_embedding_type": "relative_key"},
     {"layer_norm_eps": 1e-5}],
)  # fmt: skip
def test_another_model_is_refused_by_name(tmp_path, changes):
    folder = transformers_folder(tmp_path, **changes)
    (name,) = changes
    with pytest.raises(InputError, match=f"config.json has {name}="):
        presets.resolve(folder)


def test_a_folder_that_keras_nlp_cannot_read(tmp_path, vocabulary):
    folder = str(tmp_path / "preset")
    presets.save_preset(folder, tiny_backbone(), vocabulary)
    (tmp_path / "preset" / "model.weights.h5").write_bytes(b"no weights")
    preset = presets.resolve(folder)
    with pytest.raises(InputError, match="KerasNLP cannot read"):
        preset.build_backbone(dropout=0.0, dtype="float32")


def test_which_poolers_were_trained(tmp_path, vocabulary):
    sizes = {"dim": 32, "n_heads": 2, "n_layers": 2, "hidden_size": 32}
    for kind, has_pooler in (
        ("bert", True), ("distilbert", False), ("electra", False),
    ):  # fmt: skip
        folder = tmp_path / kind
        folder.mkdir()
        transformers_folder(folder, model_type=kind, **sizes)
        (folder / "model.safetensors").write_bytes(b"")
        assert presets.resolve(str(folder)).has_pooler == has_pooler
    folder = str(tmp_path / "words_alone")
    presets.save_preset(folder, tiny_backbone(), vocabulary, has_pooler=False)
    assert not presets.resolve(folder).has_pooler


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_what_a_checkpoint_pools(tmp_path, pooling):
    """As folders of sentence-transformers say."""
    folder = transformers_folder(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert presets.resolve(folder).pooling == "cls"
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(
        json.dumps({"pooling_mode_mean_tokens": pooling == "mean"})
    )
    assert presets.resolve(folder).pooling == pooling
