"""Texts longer than the model, cut into windows that overlap, in the graph."""

from typing import NamedTuple

import tensorflow as tf


class Windows(NamedTuple):
    """Windows of all texts, one after the other.

    Attributes:
        owners: <int64>[windows], whose text's it is.
        index: <int64>[windows, (pieces)], which of all pieces are in it.
    """

    owners: tf.Tensor
    index: tf.RaggedTensor


def cut(pieces: tf.RaggedTensor, rooms: tf.Tensor, stride: int) -> Windows:
    """Returns windows that hold every piece, at least one for each text.

    Args:
        pieces: [batch, (pieces), ...].
        rooms: <int64>[batch], how many pieces a window holds; above 0.
        stride: from the start of a window to that of the next, in pieces; less
            where the room is.
    """
    lengths = pieces.row_lengths()
    steps = tf.minimum(tf.constant(stride, tf.int64), rooms)
    beyond = tf.maximum(lengths - rooms, 0)
    counts = 1 + (beyond + steps - 1) // steps
    owners = tf.repeat(tf.range(pieces.nrows()), counts)
    starts = tf.ragged.range(counts).flat_values * tf.gather(steps, owners)
    limits = tf.minimum(
        starts + tf.gather(rooms, owners), tf.gather(lengths, owners)
    )
    bases = tf.gather(pieces.row_starts(), owners)
    return Windows(owners, tf.ragged.range(bases + starts, bases + limits))
