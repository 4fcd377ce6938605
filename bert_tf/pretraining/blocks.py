"""Full sequences without padding, for the masked language model alone.

The FULL-SENTENCES format of RoBERTa (https://arxiv.org/abs/1907.11692): the
documents one after the other, with a [SEP] between them, cut every so many
tokens. The order of the documents and the first cut change with the epoch.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from bert_tf.errors import InputError
from bert_tf.pretraining.corpus import Corpus

# [CLS] and [SEP] around a block.
_SPECIAL_TOKENS = 2


def count_blocks(corpus: Corpus, *, sequence_length: int) -> int:
    """Returns how many blocks are an epoch.

    Raises:
        InputError: the corpus does not fill one.
    """
    budget = sequence_length - _SPECIAL_TOKENS
    # The first cut may take up to a block.
    count = _stream_length(corpus) // budget - 1
    if count < 1:
        raise InputError(
            f"{len(corpus.token_ids)} tokens do not fill two sequences of "
            f"--max_seq_length={sequence_length}; take a shorter one, or more "
            "text (in --validation_split)"
        )
    return int(count)


def plan_blocks(
    corpus: Corpus, *, sequence_length: int, seed: int, epoch: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns where blocks start in a stream of the documents, shuffled.

    Returns:
        The starts <int64>[blocks], shuffled; where in the stream each document
        starts <int64>[documents + 1], the end is last; and where in the corpus
        <int64>[documents].
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(corpus.document_lengths))
    budget = sequence_length - _SPECIAL_TOKENS
    count = count_blocks(corpus, sequence_length=sequence_length)
    spare = _stream_length(corpus) - count * budget
    starts = generator.integers(spare + 1) + np.arange(count) * budget
    lengths = corpus.document_lengths[order]
    return (
        generator.permutation(starts),
        # Each with its [SEP].
        np.concatenate([[0], np.cumsum(lengths + 1)]),
        corpus.sentence_starts[corpus.document_starts[:-1]][order],
    )


def build_cut_blocks(
    corpus: Corpus,
    *,
    sequence_length: int,
    cls_token_id: int,
    sep_token_id: int,
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], dict]:
    """Returns a function for a tf.data map that cuts blocks from the stream.

    It takes what `plan_blocks` returns, of the blocks those of the batch, and
    returns token_ids, segment_ids, padding_mask
    <int32>[batch, sequence_length].
    """
    tokens = tf.constant(corpus.token_ids)
    budget = sequence_length - _SPECIAL_TOKENS

    def cut_blocks(starts, stream_starts, source_starts):
        places = starts[:, tf.newaxis] + tf.range(budget, dtype=tf.int64)
        document = (
            tf.searchsorted(
                stream_starts,
                tf.reshape(places, [-1]),
                side="right",
                out_type=tf.int64,
            )
            - 1
        )
        document = tf.reshape(document, tf.shape(places))
        within = places - tf.gather(stream_starts, document)
        is_end = places + 1 == tf.gather(stream_starts, document + 1)
        source = tf.gather(source_starts, document) + within
        ids = tf.gather(tokens, tf.where(is_end, tf.zeros_like(source), source))
        ids = tf.where(is_end, sep_token_id, ids)
        ids = tf.pad(ids, [[0, 0], [1, 0]], constant_values=cls_token_id)
        ids = tf.pad(ids, [[0, 0], [0, 1]], constant_values=sep_token_id)
        return {
            "token_ids": ids,
            "segment_ids": tf.zeros_like(ids),
            "padding_mask": tf.ones_like(ids),
        }

    return cut_blocks


def _stream_length(corpus: Corpus) -> int:
    return len(corpus.token_ids) + len(corpus.document_lengths)
