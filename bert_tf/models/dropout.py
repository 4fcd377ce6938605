"""Dropout by a hash of example, step and position.

What is dropped does not depend on the batch, the replica or the worker in
which an example is, so that training gives the same result on one device and
on many. Keras' dropout draws for a whole batch, and compiled by XLA on a CPU
it takes a hundred times as long.
"""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from bert_tf.models.custom_gradient import custom_gradient

_GOLDEN_RATIO = 0x9E3779B1


@dataclasses.dataclass(frozen=True)
class Dropout:
    """Drops units of a training step.

    Attributes:
        rate: share of the units that are set to 0, to 1/65536.
        keys: <uint32>[batch], see `dropout_keys`.
    """

    rate: float
    keys: tf.Tensor

    def __call__(self, x: tf.Tensor, site: int) -> tf.Tensor:
        """Sets units of x to 0 and scales up the others.

        Args:
            x: <float>, the examples one after the other along the first axis,
                or the first two.
            site: tells the dropouts of one model apart.
        """
        if not self.rate:
            return x
        dropped = round(self.rate * 2**16)
        bits = _random_bits(self.keys, _uint32(site), tf.shape(x))
        bits.set_shape(x.shape)
        kept = tf.cast(bits >= tf.constant(dropped, tf.uint16), x.dtype)
        return _multiply(x, kept * tf.cast(1 / (1 - dropped / 2**16), x.dtype))


@tf.function(autograph=False, reduce_retracing=True)
def _random_bits(
    keys: tf.Tensor, site: tf.Tensor, shape: tf.Tensor
) -> tf.Tensor:
    """Returns random bits <uint16> of a shape, one example after the other.

    A function of its own, so that it is traced once for all sites.
    """
    examples = tf.shape(keys)[0]
    units = tf.reduce_prod(shape) // examples
    # A hash has bits for two units.
    places = tf.range((units + 1) // 2)
    places = tf.cast(places, tf.uint32) * _uint32(_GOLDEN_RATIO)
    keys = _hash(keys + site)
    bits = tf.bitcast(_hash(keys[:, tf.newaxis] + places), tf.uint16)
    return tf.reshape(tf.reshape(bits, [examples, -1])[:, :units], shape)


@custom_gradient
def _multiply(x: tf.Tensor, factors: tf.Tensor) -> tuple[tf.Tensor, Callable]:
    """Returns x * factors, whose shapes are equal, and x's gradient alone.

    TensorFlow's own finds out first whether the shapes are equal: ten
    operations for each product.
    """
    return x * factors, lambda upstream: (upstream * factors, None)


def no_dropout(x: tf.Tensor, site: int) -> tf.Tensor:
    """Returns x: what stands for a `Dropout` while predicting."""
    del site
    return x


def dropout_keys(seed: int, step: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Returns keys <uint32>[batch] of examples in a step.

    Args:
        seed: the training's.
        step: <int>[], the steps before this one.
        rows: <int32>[batch], the examples' numbers.
    """
    key = _hash(_uint32(seed % 2**32)) + tf.cast(step, tf.uint32)
    return _hash(_hash(key) + tf.bitcast(rows, tf.uint32))


def _hash(x: tf.Tensor) -> tf.Tensor:
    """Mixes bits of <uint32>: `lowbias32` of C. Wellons' hash-prospector."""
    x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, _uint32(16)))
    x *= _uint32(0x21F0AAAD)
    x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, _uint32(15)))
    x *= _uint32(0x735A2D97)
    return tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, _uint32(15)))


def _uint32(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint32)
