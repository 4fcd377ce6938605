"""A name to a tf.distribute strategy."""

import tensorflow as tf

from bert_tf.errors import InputError

STRATEGIES = ("auto", "one_device", "mirrored")


def build_strategy(name: str) -> tf.distribute.Strategy:
    """Returns the strategy; `auto` mirrors over GPUs where there are several.

    The default strategy of TensorFlow stands for one device.
    """
    gpus = tf.config.list_logical_devices("GPU")
    if name == "mirrored" or (name == "auto" and len(gpus) > 1):
        devices = gpus or tf.config.list_logical_devices("CPU")
        # On CPUs TensorFlow's collectives confuse the strategies of two
        # trainings in one process with each other ("Shape mismatch in the
        # collective instance"), so there the sums are made on one device.
        return tf.distribute.MirroredStrategy(
            [device.name for device in devices],
            None if gpus else tf.distribute.ReductionToOneDevice(),
        )
    if name in ("auto", "one_device"):
        return tf.distribute.get_strategy()
    raise InputError(
        f"--distribution_strategy={name} is not one of {', '.join(STRATEGIES)}"
    )


def check_batch_size(flag: str, batch_size: int, replicas: int) -> None:
    """Raises InputError unless the global batch divides over the replicas."""
    if batch_size % replicas:
        raise InputError(
            f"--{flag}={batch_size} is the batch of all {replicas} replicas "
            f"together and must be divisible by {replicas}; try "
            f"{max(1, batch_size // replicas) * replicas}"
        )


def describe_devices(strategy: tf.distribute.Strategy) -> str:
    """Says on what training runs."""
    replicas = strategy.num_replicas_in_sync
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    return f"{replicas} replica{'s' if replicas > 1 else ''} on {kind}"
