"""The windows of long texts through the model, some at a time, in the graph.

A text of a megabyte has thousands of windows: all at once they would take more
memory than a server has.
"""

from collections.abc import Callable, Mapping

import tensorflow as tf

_WINDOWS_AT_A_TIME = 32


def run_in_pieces(
    function: Callable[[dict], dict],
    features: Mapping[str, tf.Tensor],
    specs: Mapping[str, tf.TensorSpec],
) -> dict[str, tf.Tensor]:
    """Applies a function of batches of any size to pieces of a batch.

    Args:
        function: from tensors [rows, ...] to others.
        features: tensors [all rows, ...].
        specs: of these, without the number of rows.

    Returns:
        What the function returns, of all rows.
    """
    rows = tf.shape(features["token_ids"])[0]
    pieces = (rows + _WINDOWS_AT_A_TIME - 1) // _WINDOWS_AT_A_TIME

    def piece_of(number):
        start = number * _WINDOWS_AT_A_TIME
        piece = {
            name: value[start : start + _WINDOWS_AT_A_TIME]
            for name, value in features.items()
        }
        return function(piece)

    arrays = {
        name: tf.TensorArray(
            spec.dtype, pieces, infer_shape=False, element_shape=spec.shape
        )
        for name, spec in specs.items()
    }

    def step(number, arrays):
        found = piece_of(number)
        return number + 1, {
            name: array.write(number, found[name])
            for name, array in arrays.items()
        }

    _, arrays = tf.while_loop(
        lambda number, _: number < pieces,
        step,
        (0, arrays),
        # One after the other, for the memory.
        parallel_iterations=1,
    )
    return {name: array.concat() for name, array in arrays.items()}
