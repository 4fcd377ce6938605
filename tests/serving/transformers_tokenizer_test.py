"""What is written for Transformers gives the ids that this project gives."""

import random

import pytest
import tensorflow as tf
import tokenizers

from bert_tf.presets import vocabularies
from bert_tf.serving.formats import transformers_tokenizer
from bert_tf.text.preprocessor import Preprocessor
from bert_tf.text.vocabulary import Vocabulary, read_tokens
from tests.conftest import minilm_folder
from tests.presets import folders
from tests.text.byte_pairs_test import trained_bpe, write_files
from tests.text.normalization_test import awkward_text

_LENGTH = 24


def word_pieces(path, *, lowercase=True, strip_accents=True):
    del path
    tokens = read_tokens(f"{minilm_folder()}/vocab.txt")
    return Vocabulary(tokens, lowercase, strip_accents)


def byte_pairs(path):
    write_files(trained_bpe(), path)
    return vocabularies.read_transformers("p", str(path), "roberta")


def sentence_pieces(path):
    (path / "spiece.model").write_bytes(folders.sentence_piece_model())
    return vocabularies.read_transformers("p", str(path), "albert")


def expected_ids(vocabulary, *columns) -> list[list[int]]:
    """The ids of texts, or of pairs, without padding."""
    preprocessor = Preprocessor(vocabulary, sequence_length=_LENGTH)

    @tf.function(autograph=False)
    def encode(*texts):
        packed = preprocessor(texts)
        return packed["token_ids"], packed["padding_mask"]

    ids, mask = encode(
        *(tf.constant([text.encode() for text in texts]) for texts in columns)
    )
    return [
        row[: count.sum()].tolist()
        for row, count in zip(ids.numpy(), mask.numpy(), strict=True)
    ]


def awkward(count: int) -> list[str]:
    generator = random.Random(0)
    texts = ["", "[SEP] a [MASK] <s> b", "Café good film"]
    return texts + [awkward_text(generator) for _ in range(count)]


@pytest.mark.parametrize("lowercase", [True, False])
def test_word_pieces(lowercase, tmp_path, full):
    vocabulary = word_pieces(
        tmp_path, lowercase=lowercase, strip_accents=lowercase
    )
    transformers_tokenizer.write(str(tmp_path), vocabulary, max_length=_LENGTH)
    path = str(tmp_path / "tokenizer.json")
    tokenizer = tokenizers.Tokenizer.from_file(path)
    # As Transformers does for split_special_tokens.
    tokenizer.encode_special_tokens = True
    tokenizer.enable_truncation(_LENGTH)
    texts = awkward(20_000 if full else 2_000)
    found = [one.ids for one in tokenizer.encode_batch(texts)]
    assert found == expected_ids(vocabulary, texts)
    again = vocabularies.read_transformers("p", str(tmp_path), "bert")
    assert again == vocabulary


def test_byte_pairs(tmp_path):
    (tmp_path / "a").mkdir()
    vocabulary = byte_pairs(tmp_path / "a")
    transformers_tokenizer.write(str(tmp_path), vocabulary, max_length=_LENGTH)
    again = vocabularies.read_transformers("p", str(tmp_path), "roberta")
    assert again == vocabulary
    path = str(tmp_path / "tokenizer.json")
    tokenizer = tokenizers.Tokenizer.from_file(path)
    tokenizer.encode_special_tokens = True
    tokenizer.enable_truncation(_LENGTH)
    texts = ["the film was good", "", " two  spaces\n", "naïve 12 isn't"]
    found = [one.ids for one in tokenizer.encode_batch(texts)]
    assert found == expected_ids(vocabulary, texts)


@pytest.mark.parametrize("build", [word_pieces, byte_pairs, sentence_pieces])
def test_transformers_own_tokenizer(build, tmp_path):
    """Needs Transformers, which the suite does not install."""
    transformers = pytest.importorskip("transformers")
    (tmp_path / "a").mkdir()
    vocabulary = build(tmp_path / "a")
    transformers_tokenizer.write(str(tmp_path), vocabulary, max_length=_LENGTH)
    kind = {
        word_pieces: "bert", byte_pairs: "roberta", sentence_pieces: "albert"
    }[build]  # fmt: skip
    (tmp_path / "config.json").write_text(f'{{"model_type": "{kind}"}}')
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(tmp_path))
    texts = ["the film was good", "Café, naïve!", "", "x [SEP] [MASK] y"]
    if build is word_pieces:
        texts = awkward(2000)
    found = tokenizer(texts, truncation=True)["input_ids"]
    assert found == expected_ids(vocabulary, texts)
    pairs = texts, texts[::-1]
    found = tokenizer(*pairs, truncation=True)["input_ids"]
    for ids, wanted in zip(
        found, expected_ids(vocabulary, *pairs), strict=True
    ):
        # Where pairs are cut, a token may be of the one text or the other.
        assert ids == wanted or len(wanted) == len(ids) == _LENGTH
