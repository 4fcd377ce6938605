"""Builds and asks native_loader.c, a process without Python or Keras."""

import glob
import math
import os
import pathlib
import shutil
import struct
import subprocess

import numpy as np
import tensorflow as tf
import tensorflow_text

SOURCE = pathlib.Path(__file__).with_suffix(".c")


def compiler() -> str | None:
    """Returns the machine's C compiler, or None."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def operation_libraries() -> list[str]:
    """Returns TensorFlow Text's operation libraries."""
    folder = os.path.dirname(tensorflow_text.__file__)
    return sorted(glob.glob(os.path.join(folder, "python", "ops", "_*.so")))


def build(folder) -> str:
    """Compiles against the libraries in the wheel; returns the program."""
    tensorflow_dir = os.path.dirname(tf.__file__)
    program = os.path.join(str(folder), "native_loader")
    subprocess.run(
        [
            compiler(), "-O2", "-Wall", "-o", program, str(SOURCE),
            f"-I{tf.sysconfig.get_include()}",
            os.path.join(tensorflow_dir, "libtensorflow_cc.so.2"),
            os.path.join(tensorflow_dir, "libtensorflow_framework.so.2"),
            f"-Wl,-rpath,{tensorflow_dir}",
        ],
        check=True,
    )  # fmt: skip
    return program


class NativeLoader:
    """A running native_loader; ends with the `with` block."""

    def __init__(
        self, program, saved_model, libraries, signature, environment=None
    ):
        self._process = subprocess.Popen(
            [program, saved_model, signature, *libraries],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                "PATH": os.environ["PATH"],
                "TF_CPP_MIN_LOG_LEVEL": "2",
                **(environment or {}),
            },
        )

    def __enter__(self):
        return self

    @property
    def pid(self) -> int:
        """Of the program."""
        return self._process.pid

    def __exit__(self, *args):
        self._process.stdin.close()
        self.exit_status = self._process.wait(timeout=60)
        self._process.stdout.close()

    def ask(self, *segments) -> tuple[dict[str, np.ndarray], float]:
        """Returns the outputs and the seconds for one batch of bytes."""
        request = [struct.pack("<I", len(segments[0]))]
        for texts in segments:
            for text in texts:
                request += [struct.pack("<I", len(text)), text]
        self._process.stdin.write(b"".join(request))
        self._process.stdin.flush()
        seconds, count = struct.unpack("<dI", self._read(12))
        return dict(self._read_tensor() for _ in range(count)), seconds

    def _read_tensor(self) -> tuple[str, np.ndarray]:
        name = self._read_bytes().decode()
        kind, rank = struct.unpack("<II", self._read(8))
        shape = struct.unpack(f"<{rank}q", self._read(8 * rank))
        size = math.prod(shape)
        dtype = tf.dtypes.as_dtype(kind)
        if dtype == tf.string:
            values = np.array([self._read_bytes() for _ in range(size)], object)
        else:
            values = np.frombuffer(
                self._read(size * dtype.size), dtype.as_numpy_dtype
            )
        return name, values.reshape(shape)

    def _read_bytes(self) -> bytes:
        (size,) = struct.unpack("<I", self._read(4))
        return self._read(size)

    def _read(self, size: int) -> bytes:
        content = self._process.stdout.read(size)
        if len(content) < size:
            raise RuntimeError("the native loader ended; see its last words")
        return content
