"""How fast a device multiplies matrices: the limit of any training on it."""

import time

import tensorflow as tf

_REPEATS = 5
_SIDE = {"CPU": 2048, "GPU": 8192, "TPU": 8192}


def matrix_product_limit(dtype: str) -> float:
    """Measures the operations a second of large products of a type.

    Args:
        dtype: float32, bfloat16 or float16.
    """
    kind = next(k for k in _SIDE if tf.config.list_logical_devices(k))
    for other in ("GPU", "TPU"):
        if tf.config.list_logical_devices(other):
            kind = other
    side = _SIDE[kind]
    matrix = tf.cast(tf.random.stateless_normal([side, side], [1, 1]), dtype)

    @tf.function(autograph=False)
    def product():
        return tf.reduce_sum(tf.cast(tf.matmul(matrix, matrix), tf.float32))

    float(product())
    seconds = []
    for _ in range(_REPEATS):
        start = time.monotonic()
        # The number is fetched, so that the device has done it.
        float(product())
        seconds.append(time.monotonic() - start)
    return 2.0 * side**3 / min(seconds)
