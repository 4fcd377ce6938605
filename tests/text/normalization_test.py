"""Ids equal to the `tokenizers` package's BERT tokenizer, in the graph."""

import random
import sys

import pytest
import tensorflow as tf
from tokenizers import BertWordPieceTokenizer

from bert_tf.data.readers import registry
from bert_tf.text.preprocessor import Preprocessor
from bert_tf.text.vocabulary import Vocabulary, read_tokens
from tests.conftest import SHARED_DATA, minilm_folder

_BATCH = 4096
# Blocks and pieces that tokenizers get wrong.
_POOLS = [
    range(0, 0xA1), range(0x300, 0x370), range(0x370, 0x400),
    range(0x250, 0x2B0), range(0x400, 0x460), range(0x590, 0x700),
    range(0x1780, 0x1800), range(0x1E00, 0x2000), range(0x200B, 0x2070),
    range(0x2E80, 0x3100), range(0x4E00, 0x4E40), range(0xAC00, 0xAC40),
    range(0xA700, 0xA7FF), range(0xE000, 0xE020), range(0xFE00, 0xFF00),
    range(0x1F300, 0x1F650), range(0x2B740, 0x2B940), range(0x41, 0x7F),
    range(97, 123), range(97, 123),
]  # fmt: skip
_PIECES = (
    "[MASK]", "[SEP]", "[CLS]", "[PAD]", "[UNK]", "##ing", "café", "ΑΣ",
    "ΑΣΑ", "İstanbul", "ß", "ﬁ", "e\u0301", "\u200d", "\r\n", "\0",
)  # fmt: skip


def awkward_text(generator: random.Random) -> str:
    parts = []
    for _ in range(generator.randint(1, 12)):
        kind = generator.random()
        if kind < 0.1:
            parts.append(generator.choice(_PIECES))
        elif kind < 0.15:
            letter = generator.choice("abé\u043f\u0e01\U00010400")
            parts.append(letter * generator.randint(90, 210))
        elif kind < 0.35:
            code = generator.randrange(sys.maxunicode + 1)
            parts.append("" if 0xD800 <= code <= 0xDFFF else chr(code))
        elif kind < 0.5:
            parts.append(" ")
        else:
            pool = generator.choice(_POOLS)
            parts.append(
                "".join(
                    chr(generator.choice(pool))
                    for _ in range(generator.randint(1, 5))
                )
            )
    return "".join(parts)


@pytest.fixture(scope="module", params=[True, False], ids=["uncased", "cased"])
def compare(request):
    """Returns a function that lists the texts with other ids."""
    path = f"{minilm_folder()}/vocab.txt"
    reference = BertWordPieceTokenizer(path, lowercase=request.param)
    # Special tokens typed in a text are plain text, as in the original.
    reference._tokenizer.encode_special_tokens = True
    vocabulary = Vocabulary(read_tokens(path), request.param, request.param)
    tokenize = tf.function(
        Preprocessor(vocabulary, sequence_length=8).tokenize,
        input_signature=[tf.TensorSpec([None], tf.string)],
    )

    def differing(texts: list[str]) -> list[str]:
        found = []
        for start in range(0, len(texts), _BATCH):
            batch = texts[start : start + _BATCH]
            ids = tokenize(tf.constant([t.encode() for t in batch])).to_list()
            expected = reference.encode_batch(batch, add_special_tokens=False)
            found += [
                text
                for text, got, encoding in zip(
                    batch, ids, expected, strict=True
                )
                if got != encoding.ids
            ]
        return found

    return differing


def test_equal_on_generated_strings(compare):
    generator = random.Random(7)
    assert compare([awkward_text(generator) for _ in range(20_000)]) == []


@pytest.mark.slow
def test_equal_on_every_code_point(compare):
    characters = [
        chr(code)
        for code in range(sys.maxunicode + 1)
        if not 0xD800 <= code <= 0xDFFF
    ]
    assert compare([f"a{c}b {c}" for c in characters]) == []


def test_equal_on_shared_data(compare):
    files = sorted(SHARED_DATA.glob("*/*.?s?")) + sorted(
        SHARED_DATA.glob("*/*.conll")
    )
    if not files:
        pytest.skip("../shared/data is not there")
    texts = []
    for path in files:
        if path.suffix == ".conll":
            texts += path.read_text(encoding="utf-8").split("\n")
        else:
            for row in registry.open_table(str(path)).rows:
                texts += row.fields.values()
    assert len(texts) > 60_000
    assert compare(texts) == []


def test_special_tokens_cannot_be_injected(compare):
    assert compare(["[SEP] a [MASK] [CLS]b[PAD]", "[unused1]"]) == []


def test_invalid_utf8_is_dropped(preprocessor):
    tokenize = tf.function(preprocessor.tokenize)
    ids = tokenize(tf.constant([b"go\xff\xfeod", b"good", b"", b"\xc3"]))
    assert ids[0].numpy().tolist() == ids[1].numpy().tolist()
    assert ids.row_lengths().numpy().tolist() == [1, 1, 0, 0]
