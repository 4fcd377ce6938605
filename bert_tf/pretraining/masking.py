"""Dynamic masking for the masked language model.

BERT's (https://arxiv.org/abs/1810.04805): 15% of the tokens are to be
predicted; of these 80% become [MASK], 10% a random token, 10% stay. Drawn
each time a sequence is met, as RoBERTa does (dynamic masking).
"""

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from bert_tf.text.vocabulary import SPECIAL_TOKENS, Vocabulary

MASKED_SHARE = 0.15
_REPLACED_SHARE = 0.8
_RANDOM_SHARE = 0.1


def default_max_predictions(sequence_length: int) -> int:
    """Returns room for 15% of a sequence, and for the word that goes over."""
    return math.ceil(MASKED_SHARE * sequence_length) + 4


def build_mask_tokens(
    vocabulary: Vocabulary,
    *,
    max_predictions: int,
    whole_words: bool,
) -> Callable[[tf.Tensor, tf.Tensor], dict]:
    """Returns a function for a tf.data map that masks tokens.

    It takes token_ids <int32>[batch, length] and a seed <int32>[2], and returns
    token_ids with the masks; masked_positions and masked_ids (what was there)
    <int32>[batch, max_predictions]; masked_weights <float32> of that shape:
    1, or 0 where a row has fewer.

    Special tokens (and [unused] ones) are neither masked nor drawn. With
    `whole_words` all pieces of a word are masked or none.
    """
    is_plain = np.array(
        [
            token not in SPECIAL_TOKENS and not token.startswith("[unused")
            for token in vocabulary.tokens
        ]
    )
    plain_ids = tf.constant(np.flatnonzero(is_plain), tf.int32)
    continues = tf.constant(
        [whole_words and token.startswith("##") for token in vocabulary.tokens]
    )
    is_plain = tf.constant(is_plain)
    mask_id = vocabulary.tokens.index("[MASK]")

    def mask_tokens(token_ids, seed):
        seeds = tf.unstack(tf.random.split(seed, 4))
        order, masked = _choose(
            is_candidate=tf.gather(is_plain, token_ids),
            continues=tf.gather(continues, token_ids),
            max_predictions=max_predictions,
            seeds=seeds[:2],
        )
        positions = _take(order, max_predictions)
        weights = _take(tf.cast(masked, tf.float32), max_predictions)
        positions = tf.where(weights > 0, positions, 0)
        originals = tf.gather(token_ids, positions, batch_dims=1)
        kind = tf.random.stateless_uniform(tf.shape(positions), seeds[2])
        drawn = tf.random.stateless_uniform(
            tf.shape(positions), seeds[3], 0, tf.size(plain_ids), tf.int32
        )
        replaced = tf.where(kind < _REPLACED_SHARE, mask_id, originals)
        is_random = kind >= 1 - _RANDOM_SHARE
        replaced = tf.where(is_random, tf.gather(plain_ids, drawn), replaced)
        rows = tf.range(tf.shape(token_ids)[0])[:, tf.newaxis]
        places = tf.stack([rows + tf.zeros_like(positions), positions], axis=-1)
        chosen = weights > 0
        return {
            "token_ids": tf.tensor_scatter_nd_update(
                token_ids,
                tf.boolean_mask(places, chosen),
                tf.boolean_mask(replaced, chosen),
            ),
            "masked_positions": positions,
            "masked_ids": originals,
            "masked_weights": weights,
        }

    return mask_tokens


def _choose(
    *,
    is_candidate: tf.Tensor,
    continues: tf.Tensor,
    max_predictions: int,
    seeds: list[tf.Tensor],
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws words in a random order until 15% of the tokens are chosen.

    Returns:
        The positions <int32>[batch, length] in the order of drawing, and
        whether they are chosen <bool>[batch, length]: the first ones are.
    """
    batch, length = tf.unstack(tf.shape(is_candidate))
    places = tf.broadcast_to(tf.range(length), [batch, length])
    rows = tf.range(batch)[:, tf.newaxis] * length
    # A piece that was cut off its word is a word of its own.
    follows = tf.pad(is_candidate[:, :-1], [[0, 0], [1, 0]])
    starts = ~(continues & is_candidate & follows)
    word = tf.cumsum(tf.cast(starts, tf.int32), axis=1) - 1 + rows
    words = batch * length
    size = tf.gather(
        tf.math.unsorted_segment_sum(tf.ones_like(word), word, words), word
    )
    first = tf.gather(tf.math.unsorted_segment_min(places, word, words), word)
    scores = tf.random.stateless_uniform([words], seeds[0])
    scores = tf.where(is_candidate, tf.gather(scores, word), -1.0)
    # Pieces of a word are equal, and then in their order.
    order = tf.argsort(scores, direction="DESCENDING", stable=True)

    def sort(x):
        return tf.gather(x, order, batch_dims=1)

    before = places - (order - sort(first))
    size, is_candidate = sort(size), sort(is_candidate)
    wanted = MASKED_SHARE * tf.reduce_sum(
        tf.cast(is_candidate, tf.float32), axis=1, keepdims=True
    )
    # The word that goes over is taken as often as keeps the mean at 15%.
    spare = wanted - tf.cast(before, tf.float32)
    luck = tf.random.stateless_uniform([batch, 1], seeds[1])
    is_chosen = spare > luck * tf.cast(size, tf.float32)
    fits = before + size <= max_predictions
    return order, is_chosen & fits & is_candidate


def _take(x: tf.Tensor, count: int) -> tf.Tensor:
    """Returns the first `count` columns, zeros where there are fewer."""
    x = x[:, :count]
    x = tf.pad(x, [[0, 0], [0, count - tf.shape(x)[1]]])
    return tf.ensure_shape(x, [None, count])
