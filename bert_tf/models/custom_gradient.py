"""Functions with a gradient of their own, of which a process keeps nothing.

`tf.custom_gradient` registers each use in a graph under a new name for as long
as the process lasts, and with it the graph and all weights that this captured:
90 MB a training of the default checkpoint. A GradientTape, which is what
differentiates here, has its own record and does not ask the registry.
"""

import functools
from collections.abc import Callable

import tensorflow as tf

# There is no public way to take a gradient out of the registry, nor to know
# whether a tape is there.
from tensorflow.python.eager import record
from tensorflow.python.framework import ops


def custom_gradient(function: Callable) -> Callable:
    """Returns `tf.custom_gradient(function)`, differentiable by a tape.

    Args:
        function: of tensors; returns the result and a function from its
            upstream gradient to those of the arguments.
    """
    differentiable = tf.custom_gradient(function)

    @functools.wraps(function)
    def call(*args):
        if not record.could_possibly_record():
            # A model that predicts, and is exported, has no use for it.
            return function(*args)[0]
        registered = ops.gradient_registry
        before = set(registered.list())
        try:
            return differentiable(*args)
        finally:
            for name in set(registered.list()) - before:
                del registered._registry[name]

    return call
