"""Run folders on a remote disk (gs://).

Keras writes weights, and NumPy and matplotlib their files, to local disks only.
"""

import contextlib
import os
import platform
import tempfile
import uuid
from collections.abc import Callable, Iterator

import tensorflow as tf
from absl import logging

from bert_tf import run_dir
from bert_tf.errors import InputError, ServerError

# A lock that nobody has renewed for so long is of a process that is gone.
_STALE_SECONDS = 1800
_LOCK = ".lock"
# Size and time of each file when it was copied last.
Marks = dict[str, tuple[int, int]]


@contextlib.contextmanager
def local_copy(address: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """Gives a local folder for a remote run, and what copies it back.

    It is copied back in the end, too.

    Raises:
        InputError: another process works on the remote run.
    """
    address = address.rstrip("/")
    lock = f"{address}/{_LOCK}"
    _check_lock(lock)
    with tempfile.TemporaryDirectory() as folder:
        local = os.path.join(folder, "run")
        marks = pull(address, local)

        def push_all():
            _renew_lock(lock)
            push(local, address, marks)

        _renew_lock(lock)
        try:
            logging.info("%s is worked on in %s.", address, local)
            yield local, push_all
            push_all()
        finally:
            tf.io.gfile.remove(lock)


def _check_lock(path: str) -> None:
    if not tf.io.gfile.exists(path):
        return
    with tf.io.gfile.GFile(path) as file:
        owner = file.read()
    # A file beside it, since only the remote clock has both times.
    probe = f"{path}.{uuid.uuid4().hex[:8]}"
    with tf.io.gfile.GFile(probe, "w") as file:
        file.write(owner)
    times = [tf.io.gfile.stat(one).mtime_nsec for one in (probe, path)]
    tf.io.gfile.remove(probe)
    if (times[0] - times[1]) / 1e9 < _STALE_SECONDS:
        raise InputError(
            f"--output_dir: another process ({owner}) trains there; if it is "
            f"gone, delete {path}"
        )


def _renew_lock(path: str) -> None:
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(f"{platform.node()}, process {os.getpid()}")


def pull(remote: str, local: str) -> Marks:
    """Copies a remote run, if there is one, to an empty local folder."""
    marks = {}
    for name in _remote_files(remote):
        target = os.path.join(local, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _copy(f"{remote}/{name}", target)
        marks[name] = _mark(target)
    return marks


def push(local: str, remote: str, marks: Marks | None = None) -> None:
    """Makes the files of a remote run those of the local one.

    The checkpoint goes last, and metrics.json after it: what is there when a
    copy is cut off can be resumed. So the metrics of a run that was
    replaced are deleted first, and its other files at the end.

    Args:
        marks: of the files as they are there; they are copied where they have
            changed since. By the local clock alone.
    """
    marks = {} if marks is None else marks
    last = (run_dir.CHECKPOINT, run_dir.METRICS)
    names = sorted(
        _files(local), key=lambda name: last.index(name) if name in last else -1
    )
    stale = set(_remote_files(remote)).difference(names)
    if run_dir.METRICS in stale:
        tf.io.gfile.remove(f"{remote}/{run_dir.METRICS}")
    for name in names:
        source, target = os.path.join(local, name), f"{remote}/{name}"
        mark = _mark(source)
        if marks.get(name) != mark:
            tf.io.gfile.makedirs(os.path.dirname(target))
            _copy(source, target)
            marks[name] = mark
    for name in stale - {run_dir.METRICS}:
        tf.io.gfile.remove(f"{remote}/{name}")


def _mark(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


def _remote_files(folder: str) -> Iterator[str]:
    for path, _, files in tf.io.gfile.walk(folder):
        inside = os.path.relpath(path, folder)
        for name in files:
            if not name.endswith(".partial") and not name.startswith(_LOCK):
                yield os.path.normpath(os.path.join(inside, name))


def _files(folder: str) -> Iterator[str]:
    for path, _, files in os.walk(folder):
        for name in files:
            if not name.endswith(".partial"):
                yield os.path.relpath(os.path.join(path, name), folder)


def _copy(source: str, target: str) -> None:
    """Copies aside, compares the sizes, then renames."""
    aside = f"{target}.partial"
    tf.io.gfile.copy(source, aside, overwrite=True)
    sizes = [tf.io.gfile.stat(path).length for path in (source, aside)]
    if sizes[0] != sizes[1]:
        raise ServerError(
            f"{aside} has {sizes[1]:,} bytes after copying, {source} has "
            f"{sizes[0]:,}; start the same command again"
        )
    tf.io.gfile.rename(aside, target, overwrite=True)
