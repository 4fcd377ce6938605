import pytest
import tensorflow as tf
import tokenizers

from bert_tf.errors import InputError
from bert_tf.presets import vocabularies
from bert_tf.pretraining.vocabulary_training import (
    train_vocabulary,
    write_vocabulary,
)
from bert_tf.text import vocabulary as vocabulary_lib
from bert_tf.text.preprocessor import Preprocessor
from tests.conftest import review_rows

TEXTS = [text for text, _ in review_rows(200)] + [
    "Ünïcödé cafés, naïve façades!",
    "日本 語 text; don't stop (ever)",
]


def train(**changes):
    settings = {"size": 120, "lowercase": True, **changes}
    return train_vocabulary(TEXTS, **settings)


@pytest.mark.parametrize("lowercase", [True, False])
def test_tokenizes_as_the_reference_does(tmp_path, lowercase):
    vocabulary = train(lowercase=lowercase)
    path = write_vocabulary(str(tmp_path), vocabulary)
    reference = tokenizers.BertWordPieceTokenizer(
        path, lowercase=lowercase, strip_accents=lowercase
    )
    texts = [*TEXTS, "Unseen Wörds ##x [MASK] \t 7", ""]
    ours = Preprocessor(vocabulary, sequence_length=128)
    rows = tf.function(ours.tokenize)(tf.constant(texts)).to_list()
    for text, row in zip(texts, rows, strict=True):
        if "[MASK]" in text:
            # A text cannot inject special tokens here.
            continue
        assert row == reference.encode(text, add_special_tokens=False).ids


def test_written_and_read_by_preset_code(tmp_path):
    for lowercase in (True, False):
        folder = str(tmp_path / str(lowercase))
        vocabulary = train(lowercase=lowercase)
        path = write_vocabulary(folder, vocabulary)
        assert vocabularies.read_word_pieces(path) == vocabulary


def test_special_and_reserved_tokens_first():
    vocabulary = train(reserved_tokens=("[unused0]", "[unused1]"))
    assert vocabulary.tokens[:7] == (
        *vocabulary_lib.SPECIAL_TOKENS, "[unused0]", "[unused1]",
    )  # fmt: skip
    assert len(vocabulary.tokens) <= 120


def test_same_text_same_vocabulary():
    assert train() == train()


def test_min_frequency():
    rare = {token for token in train(min_frequency=1, size=2000).tokens}
    assert "façades" not in rare and "facades" in rare
    assert "facades" not in train(min_frequency=2, size=2000).tokens


def test_no_text():
    with pytest.raises(InputError, match="no text"):
        train_vocabulary([" "], size=100, lowercase=True)
