"""Word pieces with their offsets in the original text, in the graph.

`normalization` drops, replaces and adds characters, so that a place in what it
returns says nothing about the original. Here every character goes through it
by itself and keeps its number; the words are put together again afterwards.
"""

from typing import NamedTuple

import tensorflow as tf
import tensorflow_text as tf_text

from bert_tf.text import normalization

# After these a word starts, though no space is there: quoted and bracketed.
_OPENING = r"""[(\[{"“‘«„¿¡]"""


class PiecesWithOffsets(NamedTuple):
    """Word pieces and where they are, each <int32>[batch, (pieces)].

    Attributes:
        ids: in the vocabulary.
        offsets: <int32>[batch, (pieces), 3]: the first character, the one after
            the last, and 1 where a word of the text starts, else 0. Characters
            are Unicode code points of the text without bytes that are not
            UTF-8. Words are what white space sets apart, a CJK ideograph is
            one by itself, and an opening bracket or quote ends one.
    """

    ids: tf.RaggedTensor
    offsets: tf.RaggedTensor


def tokenize(
    texts: tf.Tensor,
    tokenizer: tf_text.FastWordpieceTokenizer,
    *,
    lowercase: bool,
    strip_accents: bool,
) -> PiecesWithOffsets:
    """Returns the pieces that `split_words` and `tokenizer` give, and offsets.

    Args:
        texts: <string>[batch].
        tokenizer: for words that are already split.
    """
    characters = tf.strings.unicode_split(
        normalization.valid_utf8(texts), "UTF-8"
    )
    batch = characters.nrows()
    flat = characters.flat_values
    row = _rows(characters)
    number = tf.cast(
        tf.ragged.range(characters.row_lengths()).flat_values, tf.int32
    )
    normal = normalization.normalize(
        flat, lowercase=lowercase, strip_accents=strip_accents
    )
    ends, starts_word = _boundaries(flat, normal, row, number)

    # The letters of all words, one after the other, and whose they are.
    parts = tf.strings.unicode_split(normal, "UTF-8")
    owner = _rows(parts)
    is_letter = parts.flat_values != " "
    before = tf.concat([[False], is_letter[:-1]], 0)
    same_row = tf.concat(
        [[False], tf.gather(row, owner[1:]) == tf.gather(row, owner[:-1])], 0
    )
    is_first = is_letter & ~(before & same_row)
    letter = tf.boolean_mask(parts.flat_values, is_letter)
    letter_owner = tf.boolean_mask(owner, is_letter)
    # Not as ragged tensors, whose joins take words x letters of the longest.
    word = tf.cumsum(tf.cast(is_first, tf.int64)) - 1
    word = tf.boolean_mask(word, is_letter)
    words = tf.reduce_sum(tf.cast(is_first, tf.int64))
    sizes = tf.math.unsorted_segment_sum(tf.ones_like(word), word, words)
    spelled = tf.where(
        sizes > normalization.MAX_WORD_CHARACTERS,
        normalization.UNKNOWN_WORD,
        tf.strings.unsorted_segment_join(letter, word, words),
    )
    pieces, first_byte, end_byte = tokenizer.tokenize_with_offsets(spelled)

    # From bytes within a word to letters of all words, to characters.
    of_word = _rows(pieces)
    letter_ends = tf.cumsum(
        tf.cast(tf.strings.length(letter, "BYTE"), tf.int64)
    )
    word_splits = tf.concat([[0], tf.cumsum(sizes)], 0)
    word_ends = tf.gather(tf.concat([[0], letter_ends], 0), word_splits)
    base = tf.gather(word_ends, of_word)
    limit = tf.gather(word_ends, of_word + 1) - 1
    # Of a word too long, only a stand-in was spelled.
    is_whole = pieces.row_lengths() == 1
    last = tf.where(
        tf.gather(is_whole, of_word), limit, base + end_byte.flat_values - 1
    )

    def character(byte):
        index = tf.searchsorted(letter_ends, byte, side="right")
        return tf.gather(letter_owner, index)

    first = character(base + first_byte.flat_values)
    is_word_start = (first_byte.flat_values == 0) & tf.gather(
        starts_word, first
    )
    offsets = tf.stack(
        [
            tf.gather(number, first),
            tf.gather(ends, character(last)),
            tf.cast(is_word_start, tf.int32),
        ],
        axis=1,
    )
    piece_row = tf.gather(row, first)
    return PiecesWithOffsets(
        *(
            tf.RaggedTensor.from_value_rowids(values, piece_row, nrows=batch)
            for values in (pieces.flat_values, offsets)
        )
    )


def _rows(ragged: tf.RaggedTensor) -> tf.Tensor:
    """Returns value_rowids, which takes rows x the longest where it is made."""
    count = tf.size(ragged.flat_values, tf.int64)
    return tf.searchsorted(
        ragged.row_splits[1:], tf.range(count), side="right", out_type=tf.int64
    )


def _boundaries(flat, normal, row, number) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns where each character ends, and whether a word may start there.

    A character ends where the next one starts that is no accent on it.

    Args:
        flat: <string>[characters] of all texts.
        normal: <string>[characters], what became of each.
        row: <int64>[characters], whose text's it is.
        number: <int32>[characters], its place in its text.

    Returns:
        <int32>[characters] and <bool>[characters].
    """
    count = tf.shape(flat)[0]
    is_seen = tf.strings.length(normal) > 0
    is_control = tf.strings.length(normalization.remove_control(flat)) == 0
    # The nearest character after each that is no accent.
    stays = is_seen | is_control
    staying = tf.cast(tf.where(stays)[:, 0], tf.int32)
    rank = tf.cumsum(tf.cast(stays, tf.int32))
    following = tf.gather(tf.concat([staying, [count]], 0), rank)
    # Beyond the last one there is a text of its own.
    rows = tf.concat([row, [-1]], 0)
    ends = tf.where(
        tf.gather(rows, following) == row,
        tf.gather(tf.concat([number, [0]], 0), following),
        tf.gather(tf.math.segment_max(number, row), row) + 1,
    )

    is_ideograph = normalization.are_ideographs(flat)
    splits = (normal == " ") | tf.strings.regex_full_match(flat, _OPENING)
    # The nearest character before each that is seen.
    seen = tf.cast(tf.where(is_seen)[:, 0], tf.int32)
    rank = tf.cumsum(tf.cast(is_seen, tf.int32), exclusive=True)
    preceding = tf.gather(tf.concat([[count], seen], 0), rank)
    same = tf.gather(rows, preceding) == row
    after_split = tf.gather(
        tf.concat([splits | is_ideograph, [True]], 0), preceding
    )
    return ends, is_ideograph | ~same | after_split
