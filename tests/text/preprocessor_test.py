import random

import keras_nlp
import numpy as np
import tensorflow as tf

from bert_tf.text.preprocessor import Preprocessor, token_table


def ids_of(preprocessor, *texts):
    function = tf.function(lambda *t: preprocessor(t))
    features = function(*(tf.constant(part) for part in texts))
    return {name: value.numpy() for name, value in features.items()}


def tokens_of(preprocessor, *texts):
    ids = ids_of(preprocessor, *texts)["token_ids"]
    return [[preprocessor.vocabulary.tokens[i] for i in row] for row in ids]


def test_single_texts_are_cut_to_the_longest(preprocessor):
    assert tokens_of(preprocessor, ["Good film!", "bad", ""]) == [
        ["[CLS]", "good", "film", "!", "[SEP]"],
        ["[CLS]", "bad", "[SEP]", "[PAD]", "[PAD]"],
        ["[CLS]", "[SEP]", "[PAD]", "[PAD]", "[PAD]"],
    ]


def test_pairs_are_two_segments(preprocessor):
    features = ids_of(preprocessor, ["good", "bad film"], ["a plot", "?"])
    assert features["segment_ids"].tolist() == [
        [0, 0, 0, 1, 1, 1],
        [0, 0, 0, 0, 1, 1],
    ]
    assert features["padding_mask"].tolist() == [[1] * 6] * 2


def test_accents_and_pieces(preprocessor):
    tokens = tokens_of(preprocessor, ["Unhappyly CAFÉ"])[0]
    assert tokens[1:-1] == ["un", "##happy", "##ly", "caf", "##e"]


def test_empty_batch(preprocessor):
    features = ids_of(preprocessor, np.array([], dtype=str))
    assert features["token_ids"].shape == (0, 1)


def test_truncation_equals_kerasnlp_packer(vocabulary):
    """10,000 cases, single and pairs, every length around the limit."""
    generator = random.Random(3)
    for length in (3, 4, 5, 8, 9, 16):
        preprocessor = Preprocessor(vocabulary, sequence_length=length)
        packer = keras_nlp.layers.MultiSegmentPacker(
            sequence_length=length,
            start_value=preprocessor.special_ids.start,
            end_value=preprocessor.special_ids.end,
            pad_value=preprocessor.special_ids.padding,
            truncate="round_robin",
        )
        for segments in (1, 2):
            parts = tuple(
                tf.ragged.constant(
                    [
                        [
                            generator.randrange(5, 60)
                            for _ in range(generator.randint(0, length + 2))
                        ]
                        for _ in range(900)
                    ],
                    dtype=tf.int32,
                    ragged_rank=1,
                )
                for _ in range(segments)
            )
            ours = preprocessor.pack(parts)
            token_ids, segment_ids = packer(parts)
            width = ours["token_ids"].shape[1]
            np.testing.assert_array_equal(
                ours["token_ids"], token_ids[:, :width]
            )
            np.testing.assert_array_equal(
                ours["segment_ids"], segment_ids[:, :width]
            )
            assert not np.any(token_ids[:, width:])


def test_head_and_tail(vocabulary):
    preprocessor = Preprocessor(
        vocabulary, sequence_length=10, long_text="head_tail"
    )
    texts = ["a b c d e f g h i j k l", "a b c d e f g h", "a", ""]
    assert [
        [token for token in tokens if token != "[PAD]"][1:-1]
        for tokens in tokens_of(preprocessor, texts)
    ] == [list("abghijkl"), list("abcdefgh"), ["a"], []]


def test_token_table(preprocessor):
    table = token_table(preprocessor, ("good film", "bad"))
    rows = [line.split() for line in table.splitlines()]
    assert rows[0] == ["position", "token", "id", "segment", "mask"]
    assert [row[1] for row in rows[1:]] == [
        "[CLS]", "good", "film", "[SEP]", "bad", "[SEP]",
    ]  # fmt: skip
    assert [row[3] for row in rows[1:]] == ["0", "0", "0", "0", "1", "1"]
