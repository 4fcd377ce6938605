import keras_nlp
import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file, save_file

from bert_tf import run_dir
from bert_tf.config.pretraining import PretrainConfig
from bert_tf.errors import InputError
from bert_tf.pretraining.fill_mask import MaskFiller, describe
from bert_tf.pretraining.pretrain import pretrain
from bert_tf.text.vocabulary import read_tokens
from tests.conftest import TOKENS
from tests.pretraining.conftest import raw_text


def pretrained(folder, steps: int) -> str:
    (folder / "raw.txt").write_text(raw_text(documents=600))
    (folder / "vocab.txt").write_text("".join(f"{t}\n" for t in TOKENS))
    config = PretrainConfig(
        train_file=(str(folder / "raw.txt"),),
        vocab_file=str(folder / "vocab.txt"),
        output_dir=str(folder / "run"),
        num_layers=2,
        hidden_size=64,
        num_attention_heads=2,
        objective="mlm",
        max_seq_length=32,
        dropout=0.0,
        learning_rate=3e-3,
        max_steps=steps,
        eval_steps=10**6,
    )
    pretrain(config)
    return config.output_dir


@pytest.fixture(scope="module")
def language(tmp_path_factory) -> str:
    return pretrained(tmp_path_factory.mktemp("language"), steps=6)


@pytest.mark.slow
def test_it_has_learnt(tmp_path):
    """Before "was" stands a noun."""
    fill = MaskFiller(pretrained(tmp_path, steps=400))
    (found,) = fill("the [MASK] was good , nice .", top_k=10)
    nouns = {"film", "movie", "story", "plot"}
    assert found[0].token in nouns
    assert sum(c.probability for c in found if c.token in nouns) > 0.7
    assert describe("a [MASK]", [found]).endswith(f"a {found[0].token}")


def test_several_masks_and_none(language):
    fill = MaskFiller(language)
    found = fill("[MASK] film [MASK] good", top_k=len(TOKENS))
    assert len(found) == 2
    assert sum(c.probability for c in found[0]) == pytest.approx(1)
    with pytest.raises(InputError, match="no \\[MASK\\]"):
        fill("the film")
    with pytest.raises(InputError, match="shorten"):
        fill("good " * 40 + "[MASK]")


def test_equals_keras_nlp(language):
    """The saved folder is a BertMaskedLM for KerasNLP itself."""
    masked_lm = keras_nlp.models.BertMaskedLM.from_preset(
        f"{language}/{run_dir.PRESET}", preprocessor=None
    )
    ids = [2, *(TOKENS.index(t) for t in "the [MASK] was good .".split()), 3]
    logits = masked_lm(
        {
            "token_ids": tf.constant([ids]),
            "segment_ids": tf.zeros([1, len(ids)], tf.int32),
            "padding_mask": tf.ones([1, len(ids)], tf.int32),
            "mask_positions": tf.constant([[2]]),
        }
    )
    expected = tf.nn.softmax(logits[0, 0]).numpy()
    (found,) = MaskFiller(language)("the [MASK] was good .", top_k=10)
    for candidate in found:
        assert candidate.probability == pytest.approx(
            expected[TOKENS.index(candidate.token)], abs=1e-4
        )


def test_preset_without_the_head(headless_preset):
    with pytest.raises(InputError, match="no head for masked words"):
        MaskFiller(headless_preset)


def test_head_of_a_transformers_folder(tmp_path):
    """minilm's folder has no head; with the head's tensors it has one.

    They are random, so that no tensor does for another or for its transpose.
    """
    import shutil

    from tests.conftest import minilm_folder

    folder = str(tmp_path / "with_head")
    shutil.copytree(minilm_folder(), folder)
    tensors = load_file(f"{folder}/model.safetensors")
    generator = np.random.default_rng(0)
    head = {
        name: generator.normal(mean, deviation, shape).astype(np.float32)
        for name, mean, deviation, shape in (
            ("transform.dense.weight", 0.0, 0.05, [384, 384]),
            ("transform.dense.bias", 0.0, 0.5, [384]),
            ("transform.LayerNorm.weight", 1.0, 0.5, [384]),
            ("transform.LayerNorm.bias", 0.0, 0.5, [384]),
            ("bias", 0.0, 1.0, [30522]),
        )
    }
    tensors |= {f"cls.predictions.{name}": head[name] for name in head}
    save_file(tensors, f"{folder}/model.safetensors")
    fill = MaskFiller(folder)
    (found,) = fill("this [MASK] it", top_k=5)

    # As Transformers' BertForMaskedLM computes it.
    tokens = read_tokens(f"{folder}/vocab.txt")
    pieces = ("[CLS]", "this", "[MASK]", "it", "[SEP]")
    ids = tf.constant([[tokens.index(piece) for piece in pieces]])
    hidden = fill._pretrainer.backbone(
        {
            "token_ids": ids,
            "segment_ids": tf.zeros_like(ids),
            "padding_mask": tf.ones_like(ids),
        }
    )["sequence_output"][0, 2].numpy()
    inner = head["transform.dense.weight"] @ hidden
    inner = tf.nn.gelu(inner + head["transform.dense.bias"]).numpy()
    normal = (inner - inner.mean()) / inner.std()
    normal = normal * head["transform.LayerNorm.weight"]
    normal += head["transform.LayerNorm.bias"]
    table = tensors["embeddings.word_embeddings.weight"]
    expected = tf.nn.softmax(table @ normal + head["bias"]).numpy()
    best = np.argsort(-expected)[:5]
    assert [candidate.token for candidate in found] == [tokens[i] for i in best]
    np.testing.assert_allclose(
        [candidate.probability for candidate in found],
        expected[best],
        rtol=1e-3,
    )
