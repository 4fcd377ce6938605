"""Builds a tf.distribute strategy by name."""

import contextlib
import functools
import json
import os
import platform
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from bert_tf.config.base import STRATEGIES
from bert_tf.errors import InputError, InstallationError

_CLUSTER = "TF_CONFIG"


def build_strategy(
    name: str, *, tpu: str | None = None
) -> tf.distribute.Strategy:
    """Returns the strategy; `auto` takes what the surroundings speak for.

    The default strategy of TensorFlow stands for one device.

    Args:
        name: one of STRATEGIES.
        tpu: local, or the name of a Cloud TPU.

    Raises:
        InputError: the flags or TF_CONFIG are wrong.
        InstallationError: the hardware, or its wheel, is missing.
    """
    if name not in STRATEGIES:
        raise InputError(
            f"--distribution_strategy={name} is not one of "
            f"{', '.join(STRATEGIES)}"
        )
    if tpu is not None and name not in ("auto", "tpu"):
        raise InputError(f"--tpu={tpu} with --distribution_strategy={name}")
    workers = count_workers()
    if name == "multi_worker" and workers == 0:
        raise InputError(
            f"--distribution_strategy=multi_worker needs the variable "
            f"{_CLUSTER}, which names the workers; pipelines.launch_workers "
            "sets it for processes on this machine"
        )
    if name == "multi_worker" or (name == "auto" and workers > 1):
        return _multi_worker()
    if name == "tpu" or tpu is not None:
        return _tpu(tpu or "local")
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
    return tf.distribute.get_strategy()


def count_workers() -> int:
    """Returns how many workers TF_CONFIG names."""
    text = os.environ.get(_CLUSTER)
    if not text:
        return 0
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        addresses = cluster[task["type"]]
        addresses[task["index"]]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(
            f"{_CLUSTER} is not a cluster and a task of it, as in "
            '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": '
            f'{{"type": "worker", "index": 0}}}} ({error!r}): {text[:200]}'
        ) from None
    return sum(len(cluster.get(kind, ())) for kind in ("chief", "worker"))


def _multi_worker() -> tf.distribute.Strategy:
    gpus = tf.config.list_physical_devices("GPU")
    communication = tf.distribute.experimental.CommunicationImplementation
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(
            communication_options=tf.distribute.experimental.CommunicationOptions(
                implementation=communication.AUTO
                if gpus
                else communication.RING
            )
        )
    except tf.errors.OpError as error:
        raise InstallationError(
            f"the workers of {_CLUSTER} did not come together: {error.message}"
        ) from error


def _tpu(name: str) -> tf.distribute.Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(
            tpu="local" if name == "local" else name
        )
        if name == "local":
            if not tf.config.list_physical_devices("TPU"):
                raise ValueError("TensorFlow sees no TPU device")
        else:
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, RuntimeError, ImportError, tf.errors.OpError) as error:
        raise InstallationError(
            f"--tpu={name}: no TPU can be used ({str(error)[:200]}). On a TPU "
            "VM the wheels tensorflow-tpu and libtpu must stand in the place "
            "of tensorflow; see docs/tpu.md"
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes."""
    resolver = strategy.cluster_resolver
    if not has_workers(strategy):
        return True
    return resolver.task_type == "chief" or (
        "chief" not in resolver.cluster_spec().jobs and resolver.task_id == 0
    )


def check_compilation(
    strategy: tf.distribute.Strategy, jit_compile: str
) -> None:
    """Raises InputError where the whole step cannot be compiled."""
    if jit_compile == "true" and strategy is not tf.distribute.get_strategy():
        raise InputError(
            "--jit_compile=true goes with one device only: TensorFlow does not "
            f"compile the sums over replicas of {type(strategy).__name__}"
        )


def fuses_updates(strategy: tf.distribute.Strategy, jit_compile: str) -> bool:
    """Whether XLA compiles AdamW's update of each variable.

    Under several replicas Keras' operations keep the copies in step.
    """
    replicated = isinstance(
        strategy,
        (
            tf.distribute.MirroredStrategy,
            tf.distribute.MultiWorkerMirroredStrategy,
            tf.distribute.TPUStrategy,
        ),
    )
    return jit_compile == "auto" and not replicated


def fixed_length(
    strategy: tf.distribute.Strategy, max_seq_length: int
) -> int | None:
    """Returns what all batches are padded to; None: each as far as it needs.

    TPUs compile a program for each shape.
    """
    is_tpu = isinstance(strategy, tf.distribute.TPUStrategy)
    return max_seq_length if is_tpu else None


def check_batch_sizes(
    replicas: int,
    *,
    train_batch_size: int | None,
    eval_batch_size: int,
    accumulate_steps: int,
) -> None:
    """Raises InputError unless the global batches divide as they must."""
    reason = f"all {replicas} replicas together"
    sizes = [("eval_batch_size", eval_batch_size, replicas, reason)]
    if accumulate_steps > 1:
        reason += f", in {accumulate_steps} pieces"
    parts = replicas * accumulate_steps
    sizes.append(("train_batch_size", train_batch_size, parts, reason))
    for flag, size, parts, reason in sizes:
        if size is not None and size % parts:
            raise InputError(
                f"--{flag}={size} is the batch of {reason} and must be "
                f"divisible by {parts}; try {max(1, size // parts) * parts}"
            )


def check_agreement(
    strategy: tf.distribute.Strategy, what: str, values: Sequence[float]
) -> None:
    """Raises InstallationError unless all workers hold the same values.

    Replicas that start from different states stay different, and the training
    goes wrong without a word. Also a barrier: all must come here.
    """
    if not has_workers(strategy):
        return
    mine = np.array([values], np.float64)

    @tf.function(autograph=False)
    def gather():
        return strategy.gather(strategy.run(lambda: tf.constant(mine)), axis=0)

    everyones = gather().numpy()
    if (everyones != mine).any():
        raise InstallationError(
            f"the workers differ in {what}: "
            f"{[row.tolist() for row in everyones]}"
        )


def any_worker(strategy: tf.distribute.Strategy, value: bool) -> bool:
    """Tells whether the value is true on any worker; all must call it."""
    if not has_workers(strategy):
        return value
    return bool(_build_sum(strategy)(tf.constant(int(value))) > 0)


@functools.cache
def _build_sum(strategy: tf.distribute.Strategy):
    @tf.function(autograph=False)
    def add_up(value):
        return strategy.reduce(
            tf.distribute.ReduceOp.SUM,
            strategy.run(lambda one: one, args=(value,)),
            axis=None,
        )

    return add_up


@contextlib.contextmanager
def telling_of_lost_workers(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Says in words that another worker is gone."""
    try:
        yield
    except tf.errors.OpError as error:
        if not has_workers(strategy):
            raise
        raise InstallationError(
            "another worker was lost. Start all workers again with the same "
            "command, and training resumes from the last checkpoint "
            f"({error.message.splitlines()[0][:200]})"
        ) from error


def describe_devices(strategy: tf.distribute.Strategy) -> str:
    """Says on what training runs."""
    replicas = strategy.num_replicas_in_sync
    kinds = ("TPU", "GPU", "CPU")
    kind = next(k for k in kinds if tf.config.list_logical_devices(k))
    text = f"{replicas} replica{'s' if replicas > 1 else ''} on {kind}"
    if has_workers(strategy):
        resolver = strategy.cluster_resolver
        text += f", as {resolver.task_type} {resolver.task_id}"
    return text


def device_name() -> str:
    """Returns what the first device is, as TensorFlow and the system say."""
    for kind in ("TPU", "GPU"):
        for device in tf.config.list_physical_devices(kind):
            details = tf.config.experimental.get_device_details(device)
            return details.get("device_name", kind)
    return f"CPU, {platform.processor() or platform.machine()}"


def has_workers(strategy: tf.distribute.Strategy) -> bool:
    """Whether several processes train together."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
