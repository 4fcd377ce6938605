import json
import shutil

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
