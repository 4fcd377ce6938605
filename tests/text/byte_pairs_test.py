"""Ids equal to the `tokenizers` package's byte-level BPE, in the graph."""

import random

import pytest
import tensorflow as tf
import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from bert_tf.errors import InputError
from bert_tf.text import byte_pairs
from bert_tf.text import tokenizers as tokenizers_lib
from bert_tf.text.vocabulary import BYTE_PAIR
from tests.text.normalization_test import awkward_text

SPECIAL_TOKENS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
TEXTS = [
    "The film was good, wasn't it? They'd said we'll see that it's bad.",
    "a very good movie and a very sad story of 12345 words in 2026",
    "aaaa aaaaaaa bananananas naïve café forêt déjà-vu",
] * 3  # fmt: skip
PIECES = (
    "  ", "\n\n", " \t ", "\u3000", "\u2009a", "\x0b", "\x85", "'s", "'LL", "६",
    "aaaaa", "<s>", "</s>", "<mask>", "\u0130", " 'd", "१२", "½", "\u2028 x",
)  # fmt: skip


def trained_bpe(prefix_space=False):
    """A byte-level BPE of `tokenizers`, trained in an instant."""
    reference = tokenizers.Tokenizer(models.BPE())
    reference.pre_tokenizer = pre_tokenizers.ByteLevel(
        add_prefix_space=prefix_space
    )
    reference.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(
            vocab_size=420,
            min_frequency=1,
            show_progress=False,
            special_tokens=SPECIAL_TOKENS,
            initial_alphabet=sorted(byte_pairs.byte_letters()),
        ),
    )
    # Special tokens typed in a text are plain text.
    reference.encode_special_tokens = True
    return reference


def write_files(reference, folder):
    """Writes vocab.json and merges.txt as Transformers does."""
    reference.model.save(str(folder))


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "prefix"])
def both(request, tmp_path_factory):
    """The package's tokenizer and ours."""
    folder = tmp_path_factory.mktemp("bpe")
    reference = trained_bpe(request.param)
    write_files(reference, folder)
    vocabulary = byte_pairs.build_vocabulary(
        reference.get_vocab(),
        (folder / "merges.txt").read_bytes(),
        prefix_space=request.param,
        source="x",
    )
    assert vocabulary.kind == BYTE_PAIR
    tokenize = tf.function(
        tokenizers_lib.build_tokenizer(vocabulary),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    return reference, lambda texts: tokenize(
        tf.constant([text.encode() for text in texts], tf.string)
    ).to_list()


def test_equal_to_the_package(both):
    reference, tokenize = both
    generator = random.Random(1)
    texts = ["", " ", "  a", "a  ", *TEXTS, *PIECES]
    for _ in range(3000):
        parts = [
            generator.choice(PIECES)
            if generator.random() < 0.3
            else generator.choice([awkward_text(generator), *TEXTS[0].split()])
            for _ in range(generator.randint(1, 6))
        ]
        texts.append(generator.choice(["", " "]).join(parts))
    # The one code point that is never a character is dropped.
    texts = [text.replace("\U0010ffff", "") for text in texts]
    expected = reference.encode_batch(texts, add_special_tokens=False)
    differing = [
        text
        for text, ids, other in zip(
            texts, tokenize(texts), expected, strict=True
        )
        if ids != other.ids
    ]
    assert differing == []


def test_no_texts_and_no_utf8(both):
    _, tokenize = both
    assert tokenize([]) == []
    assert tokenize(["", "a"])[0] == []


def test_a_long_word_is_soon_done(both):
    reference, tokenize = both
    text = "".join(random.Random(2).choices("abcdefgh", k=4000))
    assert tokenize([text])[0] == reference.encode(text).ids


def test_tokens_that_people_can_read():
    tokens = ("<s>", "Ġgood", "ly", "Ġ", "Ċ", "Ã©", "Ã")
    assert byte_pairs.readable(tokens)[1:] == [
        "good", "##ly", "", "##\ufffd", "##é", "##\ufffd",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "merges", "words"),
    [
        ({"!": 999}, b"", "does not number"),
        ({"\u0100": None}, b"", "lacks 1 of the 256 bytes"),
        ({}, b"q zzz", "does not go with its vocabulary"),
        ({}, b"a b c", "does not go with its vocabulary"),
    ],
)
def test_files_that_do_not_fit(change, merges, words):
    ids = {letter: i for i, letter in enumerate(byte_pairs.byte_letters())}
    ids = {**ids, **change}
    if None in ids.values():
        kept = [token for token, i in ids.items() if i is not None]
        ids = {token: i for i, token in enumerate(kept)}
    with pytest.raises(InputError, match=words):
        byte_pairs.build_vocabulary(ids, merges, prefix_space=False, source="x")
