"""Ids equal to the `sentencepiece` package's, after ALBERT's normalizing."""

import random
import re
import unicodedata

import pytest
import sentencepiece
import tensorflow as tf
from tokenizers import normalizers

from bert_tf.text import tokenizers
from bert_tf.text.vocabulary import SENTENCE_PIECE, Vocabulary
from tests.presets.folders import sentence_piece_model
from tests.text.normalization_test import awkward_text

# As Transformers converts ALBERT's own preprocess_text.
UNCASED = normalizers.Sequence(
    [
        normalizers.Replace("``", '"'),
        normalizers.Replace("''", '"'),
        normalizers.NFKD(),
        normalizers.StripAccents(),
        normalizers.Lowercase(),
    ]
)
CASED = normalizers.Sequence(
    [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
)


def is_comparable(text):
    """Whether the original and Transformers agree, and there are no ties.

    Of a long run of a letter several splits are as likely, NUL is dropped here,
    and letters beyond U+2000 have new lower-case ones.
    """
    marks = [c for c in unicodedata.normalize("NFKD", text) if is_mark(c)]
    return (
        "\0" not in text
        and max(text, default="") < "\u2000"
        and all(unicodedata.combining(mark) for mark in marks)
        and not re.search(r"(.)\1{9}", text)
    )


def is_mark(letter):
    return unicodedata.category(letter).startswith("M")


@pytest.mark.parametrize(
    ("normalizer", "uncased"), [(UNCASED, True), (CASED, False)]
)
def test_equal_to_the_package(normalizer, uncased):
    model = sentence_piece_model()
    reference = sentencepiece.SentencePieceProcessor(model_proto=model)
    vocabulary = Vocabulary(
        (), uncased, uncased, kind=SENTENCE_PIECE, model=model
    )
    # Named, for the graph does not keep its resource.
    tokenizer = tokenizers.build_tokenizer(vocabulary)
    tokenize = tf.function(
        tokenizer,
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    generator = random.Random(1)
    awkward = [awkward_text(generator) for _ in range(2000)]
    # Most others have letters beyond U+2000.
    assert sum(map(is_comparable, awkward)) > 165
    texts = [
        "", " ", "The  Film\twas ``very'' FÍNE!", "[CLS] a <pad> [MASK]",
        *awkward,
        *(
            " ".join(generator.choices(["Film", "GOOD", "très", "a"], k=9))
            for _ in range(200)
        ),
    ]  # fmt: skip
    found = tokenize(tf.constant([text.encode() for text in texts])).to_list()
    compared = [
        (text, ids)
        for text, ids in zip(texts, found, strict=True)
        if is_comparable(text)
    ]
    differing = [
        text
        for text, ids in compared
        if ids != reference.encode(normalizer.normalize_str(text))
    ]
    assert differing == []
