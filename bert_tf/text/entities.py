"""Entities of a text from the tags of its words, in the graph."""

import tensorflow as tf

from bert_tf.text import normalization

# Closing punctuation is no part of an entity that goes before it.
_CLOSING = r"""[.,;:!?…)\]}"”’»]+$"""


def decode(
    texts: tf.Tensor,
    places: tf.Tensor,
    probabilities: tf.Tensor,
    *,
    prefixes: tf.Tensor,
    kinds: tf.Tensor,
    kind_names: tf.Tensor,
) -> dict[str, tf.Tensor]:
    """Returns the entities of each text, by strict IOB2.

    The first piece of a word has its tag. B-x starts an entity, and I-x right
    after goes on with it; any other I- is none. An entity's score is the mean
    probability of its words' tags.

    Args:
        texts: <string>[batch].
        places: <int32>[batch, length, 3], see `PlacedPieces`.
        probabilities: <float32>[batch, length, tags].
        prefixes: <int32>[tags], 1 for B-, 2 for I- and 0 for O.
        kinds: <int32>[tags], which type of entity; any number for O.
        kind_names: <string>[types].

    Returns:
        entity and label <string>[batch, most], start and end <int32>, score
        <float32>, padded with "" and 0; count <int32>[batch]. Start and end
        are characters (code points) of the text.
    """
    batch = tf.shape(texts, tf.int64)[0]
    # The words of all texts, one after the other.
    is_word = places[:, :, 2] > 0
    word_row = tf.where(is_word)[:, 0]
    word_places = tf.boolean_mask(places, is_word)
    word_probabilities = tf.boolean_mask(probabilities, is_word)
    count = tf.shape(word_row)[0]
    # A word ends where its last piece does.
    is_piece = places[:, :, 1] > 0
    word_of_piece = tf.cumsum(
        tf.cast(tf.boolean_mask(is_word, is_piece), tf.int32)
    )
    piece_ends = tf.boolean_mask(places[:, :, 1], is_piece)
    word_ends = tf.math.unsorted_segment_max(
        piece_ends, tf.maximum(word_of_piece - 1, 0), count
    )
    tag = tf.argmax(word_probabilities, axis=1)
    score = tf.reduce_max(word_probabilities, axis=1)
    prefix, kind = tf.gather(prefixes, tag), tf.gather(kinds, tag)

    def before(values, first):
        return tf.concat([[first], values[:-1]], 0)[:count]

    goes_on = (
        (prefix == 2)
        & (before(prefix, 0) > 0)
        & (before(kind, -1) == kind)
        & (before(word_row, tf.constant(-1, tf.int64)) == word_row)
    )
    # Runs of words; those that start with B- are entities.
    run = tf.cumsum(tf.cast(~goes_on, tf.int32)) - 1
    runs = tf.reduce_sum(tf.cast(~goes_on, tf.int32))
    heads = tf.boolean_mask(tf.range(count), ~goes_on)
    is_entity = tf.gather(prefix, heads) == 1
    end = tf.boolean_mask(
        tf.math.unsorted_segment_max(word_ends, run, runs), is_entity
    )
    mean = tf.boolean_mask(
        tf.math.unsorted_segment_mean(score, run, runs), is_entity
    )
    heads = tf.boolean_mask(heads, is_entity)
    start = tf.gather(word_places[:, 0], heads)
    row = tf.gather(word_row, heads)
    valid = normalization.valid_utf8(texts)
    entity = tf.strings.substr(
        tf.gather(valid, row), start, end - start, unit="UTF8_CHAR"
    )
    shorter = tf.strings.regex_replace(entity, _CLOSING, "")
    entity = tf.where(tf.strings.length(shorter) > 0, shorter, entity)
    columns = {
        "entity": entity,
        "label": tf.gather(kind_names, tf.gather(kind, heads)),
        "start": start,
        "end": start + tf.strings.length(entity, unit="UTF8_CHAR"),
        "score": mean,
    }
    ragged = {
        name: tf.RaggedTensor.from_value_rowids(column, row, nrows=batch)
        for name, column in columns.items()
    }
    return {
        **{name: column.to_tensor() for name, column in ragged.items()},
        "count": tf.cast(ragged["start"].row_lengths(), tf.int32),
    }
