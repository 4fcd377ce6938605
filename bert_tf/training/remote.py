"""Run folders on a remote disk (gs://).

Keras writes weights, and NumPy and matplotlib their files, to local disks only.
"""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator

import tensorflow as tf
from absl import logging

from bert_tf import run_dir
from bert_tf.errors import ServerError


@contextlib.contextmanager
def local_copy(address: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """Gives a local folder for a remote run, and what copies it back.

    It is copied back in the end, too.
    """
    address = address.rstrip("/")
    with tempfile.TemporaryDirectory() as folder:
        local = os.path.join(folder, "run")
        pull(address, local)
        logging.info("%s is worked on in %s.", address, local)
        yield local, lambda: push(local, address)
        push(local, address)


def pull(remote: str, local: str) -> None:
    """Copies a remote run, if there is one, to an empty local folder."""
    for name in _remote_files(remote):
        target = os.path.join(local, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _copy(f"{remote}/{name}", target)


def push(local: str, remote: str) -> None:
    """Makes the files of a remote run those of the local one.

    The checkpoint goes last, and metrics.json after it: what is there when a
    copy is cut off can be resumed. So the metrics of a run that was
    replaced are deleted first, and its other files at the end.
    """
    last = (run_dir.CHECKPOINT, run_dir.METRICS)
    names = sorted(
        _files(local), key=lambda name: last.index(name) if name in last else -1
    )
    stale = set(_remote_files(remote)).difference(names)
    if run_dir.METRICS in stale:
        tf.io.gfile.remove(f"{remote}/{run_dir.METRICS}")
    for name in names:
        source, target = os.path.join(local, name), f"{remote}/{name}"
        if not _is_current(source, target):
            tf.io.gfile.makedirs(os.path.dirname(target))
            _copy(source, target)
    for name in stale - {run_dir.METRICS}:
        tf.io.gfile.remove(f"{remote}/{name}")


def _remote_files(folder: str) -> Iterator[str]:
    for path, _, files in tf.io.gfile.walk(folder):
        inside = os.path.relpath(path, folder)
        for name in files:
            if not name.endswith(".partial"):
                yield os.path.normpath(os.path.join(inside, name))


def _files(folder: str) -> Iterator[str]:
    for path, _, files in os.walk(folder):
        for name in files:
            if not name.endswith(".partial"):
                yield os.path.relpath(os.path.join(path, name), folder)


def _is_current(source: str, target: str) -> bool:
    if not tf.io.gfile.exists(target):
        return False
    there = tf.io.gfile.stat(target)
    here = os.stat(source)
    return there.length == here.st_size and (
        there.mtime_nsec >= here.st_mtime_ns
    )


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
