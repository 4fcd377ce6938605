"""Runs the TPU compiler on TensorFlow graphs, without a TPU.

The only file that touches private parts of TensorFlow and jax; the extra
`tpu-check` pins the versions with which they were tried. TensorFlow gives a
compiled function's StableHLO (lowered for CPU, which holds no CPU-only
operations for these models), and the compiler in libtpu takes it.
"""

import contextlib
import dataclasses
import os
import time

import tensorflow as tf

from bert_tf.errors import InputError, InstallationError

# libtpu asks the machine what it is; these are the answers of a TPU VM.
_TPU_VM = {
    "TPU_SKIP_MDS_QUERY": "1",
    "JAX_PLATFORMS": "cpu",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
}


class OutOfMemoryError(RuntimeError):
    """The program needs more memory than a chip has."""


@dataclasses.dataclass(frozen=True)
class Compiled:
    """What the compiler says of a program for one chip.

    Attributes:
        device_kind: such as "TPU v5 lite".
        chips: in the topology.
        flops: floating-point operations a call.
        bytes_accessed: bytes a call, counted before fusion.
        peak_bytes: memory at its fullest.
        seconds: that compiling took.
    """

    device_kind: str
    chips: int
    flops: float
    bytes_accessed: float
    peak_bytes: int
    seconds: float


def stable_hlo(function: tf.types.experimental.ConcreteFunction) -> bytes:
    """Returns a jit_compile function as serialized StableHLO."""
    from tensorflow.python.eager.polymorphic_function import compiler_ir

    return compiler_ir.from_concrete_function(function)(
        stage="stablehlo_serialized", platform_name=None
    )


def compile_for_tpu(program: bytes, topology: str) -> Compiled:
    """Compiles StableHLO for the first chip of a topology such as v5e:2x2.

    Raises:
        InstallationError: jax or libtpu is missing, or in use elsewhere.
        InputError: there is no such topology.
        OutOfMemoryError: a chip has too little memory.
    """
    os.environ.update(_TPU_VM)
    try:
        import jax
        import numpy as np
        from jax._src import compiler
        from jax._src.interpreters import mlir
        from jax._src.lib import xla_client
        from jax._src.lib.mlir import ir
        from jax.experimental import topologies
    except ModuleNotFoundError as error:
        raise InstallationError(
            f"the TPU compiler needs the package {error.name}: "
            'pip install ".[tpu-check]" in the clone'
        ) from error
    try:
        description = topologies.get_topology_desc(
            platform="tpu", topology_name=topology
        )
    except jax.errors.JaxRuntimeError as error:
        if "lockfile" in str(error):
            raise InstallationError(
                "another process uses libtpu; wait for it, or delete "
                "/tmp/libtpu_lockfile if there is none"
            ) from error
        raise InputError(
            f"--topology={topology} is not known to this libtpu: "
            f"{str(error).splitlines()[0][:200]}"
        ) from error
    device = description.devices[0]
    with mlir.make_ir_context() as context:
        context.allow_unregistered_dialects = True
        module = ir.Module.parse(program)
        _erase_copies(module)
        options = compiler.get_compile_options(
            num_replicas=1,
            num_partitions=1,
            device_assignment=np.array([[device.id]]),
        )
        start = time.monotonic()
        with _telling_of_memory():
            executable = device.client.compile(
                module,
                executable_devices=xla_client.DeviceList((device,)),
                compile_options=options,
            )
    memory = executable.get_compiled_memory_stats()
    costs = executable.cost_analysis()
    costs = costs[0] if isinstance(costs, list) else costs
    return Compiled(
        device_kind=device.device_kind,
        chips=len(description.devices),
        flops=costs["flops"],
        bytes_accessed=costs["bytes accessed"],
        peak_bytes=memory.peak_memory_in_bytes,
        seconds=time.monotonic() - start,
    )


@contextlib.contextmanager
def _telling_of_memory():
    import jax

    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" in str(error):
            raise OutOfMemoryError(str(error).splitlines()[0]) from error
        raise


def _erase_copies(module) -> None:
    """Erases each mhlo.copy, which the TPU compiler does not know."""
    for operation in list(_walk(module.operation)):
        if operation.operation.name == "mhlo.copy":
            result = operation.operation.results[0]
            result.replace_all_uses_with(operation.operation.operands[0])
            operation.operation.erase()


def _walk(operation):
    for region in operation.regions:
        for block in region:
            for inner in block.operations:
                yield inner
                yield from _walk(inner.operation)
