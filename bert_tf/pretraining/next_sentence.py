"""Sentence pairs for next sentence prediction, sampled in the graph.

As create_pretraining_data.py of google-research/bert makes them, but drawn
anew for each epoch: a chunk of a document is cut in two at a random sentence,
and half of the time the second part is replaced with one from another
document. Not taken over: the replaced text is not queued up for a later pair;
another epoch cuts elsewhere.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from bert_tf.errors import InputError
from bert_tf.pretraining.corpus import Corpus

_SHORT_SHARE = 0.1
_RANDOM_SHARE = 0.5
# [CLS] and two [SEP].
_SPECIAL_TOKENS = 3
# Random numbers for a pair.
_DRAWS = 9


def count_pairs(corpus: Corpus, *, sequence_length: int) -> int:
    """Returns how many pairs are an epoch: each token is met about once.

    Raises:
        InputError: there are no two documents of two tokens.
    """
    return int(_pairs_a_document(corpus, sequence_length).sum())


def plan_pairs(
    corpus: Corpus, *, sequence_length: int, seed: int, epoch: int
) -> np.ndarray:
    """Returns the sentence <int64>[pairs] at which each chunk starts.

    They are spread evenly over each document from a random place on, and
    shuffled.
    """
    generator = np.random.default_rng([seed, epoch])
    counts = _pairs_a_document(corpus, sequence_length)
    documents = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(documents)) - np.repeat(
        np.cumsum(counts) - counts, counts
    )
    shift = generator.random(len(counts))[documents] - 0.5
    stride = (corpus.document_lengths / np.maximum(counts, 1))[documents]
    tokens = np.maximum(number + shift, 0) * stride
    first = corpus.document_starts[documents]
    tokens = corpus.sentence_starts[first] + tokens.astype(np.int64)
    sentence = np.searchsorted(corpus.sentence_starts, tokens, "right") - 1
    # The last sentence of a document has no next one.
    last = corpus.document_starts[documents + 1] - 2
    return generator.permutation(np.clip(sentence, first, last))


def build_draw_pairs(
    corpus: Corpus,
    *,
    sequence_length: int,
    cls_token_id: int,
    sep_token_id: int,
    pad_token_id: int,
) -> Callable[[tf.Tensor, tf.Tensor], dict]:
    """Returns a function for a tf.data map that makes pairs.

    It takes the sentences <int64>[batch] of `plan_pairs` and a seed <int32>[2],
    and returns token_ids, segment_ids, padding_mask <int32>[batch, length] and
    is_random <int32>[batch]: 1 where the second part is from elsewhere.
    """
    tokens = tf.constant(corpus.token_ids)
    starts = tf.constant(corpus.sentence_starts)
    document_starts = tf.constant(corpus.document_starts)
    # Any document can lend a second part.
    documents = len(corpus.sentence_counts)
    budget = sequence_length - _SPECIAL_TOKENS

    def draw_pairs(sentences, seed):
        draws = tf.unstack(
            tf.random.stateless_uniform(
                [_DRAWS, tf.shape(sentences)[0]], seed, dtype=tf.float64
            )
        )

        def integer(number, limit):
            """Returns <int64>[batch] from 0 to below the limits."""
            limit = tf.convert_to_tensor(limit, tf.int64)
            drawn = draws[number] * tf.cast(limit, tf.float64)
            return tf.minimum(tf.cast(drawn, tf.int64), limit - 1)

        def reach(first, length, fewest, end):
            """Returns the sentence before which `length` tokens are reached."""
            place = tf.gather(starts, first) + length
            next_start = tf.searchsorted(starts, place, out_type=tf.int64)
            return tf.minimum(tf.maximum(next_start, first + fewest), end)

        document = (
            tf.searchsorted(
                document_starts, sentences, side="right", out_type=tf.int64
            )
            - 1
        )
        is_short = draws[0] < _SHORT_SHARE
        target = tf.where(is_short, 2 + integer(1, budget - 1), budget)

        # === The chunk, and where it is cut ===
        end = reach(
            sentences, target, 2, tf.gather(document_starts, document + 1)
        )
        cut = sentences + 1 + integer(2, end - sentences - 1)
        first_start = tf.gather(starts, sentences)
        first_length = tf.gather(starts, cut) - first_start

        # === The second part ===
        is_random = draws[3] < _RANDOM_SHARE
        other = integer(4, documents - 1)
        other += tf.cast(other >= document, tf.int64)
        other_end = tf.gather(document_starts, other + 1)
        other_start = tf.gather(document_starts, other)
        other_start += integer(5, other_end - other_start)
        wanted = tf.maximum(target - first_length, 1)
        other_end = reach(other_start, wanted, 1, other_end)
        second_start = tf.gather(starts, tf.where(is_random, other_start, cut))
        second_end = tf.gather(starts, tf.where(is_random, other_end, end))
        second_length = second_end - second_start

        # === Cut to the length, from the longer part first ===
        half = (target + 1) // 2
        first_keeps = tf.minimum(
            first_length, tf.maximum(half, target - second_length)
        )
        second_keeps = tf.minimum(second_length, target - first_keeps)
        # From the front or the back, so that no place gives the part away.
        first_start += integer(6, first_length - first_keeps + 1)
        second_start += integer(7, second_length - second_keeps + 1)

        packed = _pack(
            tokens,
            (first_start, second_start),
            (first_keeps, second_keeps),
            special=(cls_token_id, sep_token_id, pad_token_id),
            width=sequence_length,
        )
        return {**packed, "is_random": tf.cast(is_random, tf.int32)}

    return draw_pairs


def _pack(
    tokens, starts, lengths, *, special: tuple[int, int, int], width: int
) -> dict:
    """Lays out [CLS] first [SEP] second [SEP], padded to one width.

    Nine in ten pairs fill it, and one shape suits every device.
    """
    cls_token_id, sep_token_id, pad_token_id = special
    first, second = (length[:, tf.newaxis] for length in lengths)
    total = first + second + _SPECIAL_TOKENS
    places = tf.range(width, dtype=tf.int64)[tf.newaxis]
    in_second = places >= first + 2
    source = tf.where(
        in_second,
        starts[1][:, tf.newaxis] + places - first - 2,
        starts[0][:, tf.newaxis] + places - 1,
    )
    source = tf.clip_by_value(source, 0, tf.size(tokens, tf.int64) - 1)
    ids = tf.gather(tokens, source)
    is_separator = (places == first + 1) | (places == total - 1)
    ids = tf.where(is_separator, sep_token_id, ids)
    ids = tf.where(places == 0, cls_token_id, ids)
    mask = places < total
    return {
        "token_ids": tf.where(mask, ids, pad_token_id),
        "segment_ids": tf.cast(in_second & mask, tf.int32),
        "padding_mask": tf.cast(mask, tf.int32),
    }


def _pairs_a_document(corpus: Corpus, sequence_length: int) -> np.ndarray:
    usable = corpus.sentence_counts > 1
    if usable.sum() < 2:
        raise InputError(
            "sentence pairs need at least two documents of several words on "
            "each side of --validation_split: the second part comes from "
            "another document half of the time. In .txt files blank lines "
            "divide documents; --objective=mlm needs no pairs"
        )
    budget = sequence_length - _SPECIAL_TOKENS
    return np.where(usable, -(-corpus.document_lengths // budget), 0)
