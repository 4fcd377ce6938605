import numpy as np
import pytest
import tensorflow as tf

from bert_tf.models.dropout import Dropout, dropout_keys

ROWS = 64


def keys(seed=3, step=5, rows=None):
    rows = np.arange(ROWS) if rows is None else rows
    return dropout_keys(seed, tf.constant(step), tf.constant(rows, tf.int32))


def kept(rate=0.1, site=1, shape=(ROWS, 33, 7), **key_arguments):
    drop = Dropout(rate, keys(**key_arguments))
    return drop(tf.ones(shape), site).numpy() > 0


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_drops_the_rate_and_keeps_the_sum(rate):
    values = Dropout(rate, keys())(tf.ones([ROWS, 4000]), 1).numpy()
    standard_error = np.sqrt(rate * (1 - rate) / values.size)
    assert abs((values == 0).mean() - rate) < 4 * standard_error
    np.testing.assert_allclose(values[values > 0], 1 / (1 - rate), rtol=1e-3)
    assert abs(values.mean() - 1) < 4 * standard_error / (1 - rate)


@pytest.mark.parametrize(
    "change", [{"seed": 4}, {"step": 6}, {"site": 2}, {"rows": range(1, 65)}]
)
def test_masks_are_independent(change):
    """Of two masks, 0.1 of what one drops is dropped by the other."""
    one, two = ~kept(), ~kept(**change)
    both = (one & two).mean()
    assert abs(both - 0.01) < 4 * np.sqrt(0.01 * 0.99 / one.size)


def test_units_and_their_neighbours_are_independent():
    dropped = ~kept(rate=0.5, shape=(ROWS, 4096))
    for distance in (1, 2, 3, 64, 384, 1024):
        agree = (dropped[:, distance:] == dropped[:, :-distance]).mean()
        assert abs(agree - 0.5) < 4 * 0.5 / np.sqrt(dropped.size)


def test_an_example_is_dropped_alike_in_any_batch():
    together = kept()
    alone = kept(rows=[7, 3], shape=(2, 33, 7))
    np.testing.assert_array_equal(alone, together[[7, 3]])
    # Rows of tokens are the same memory in another shape.
    flat = kept(shape=(ROWS * 33, 7))
    np.testing.assert_array_equal(flat.reshape(together.shape), together)


def test_gradients_go_where_values_went():
    x = tf.ones([ROWS, 10])
    drop = Dropout(0.3, keys())
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = drop(x, 0)
    np.testing.assert_array_equal(tape.gradient(y, x), y)
