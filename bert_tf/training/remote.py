"""A run folder on a remote disk (gs://): worked on locally, copied there.

Keras writes weights, and NumPy and matplotlib their files, to local disks only.
"""

import os
from collections.abc import Iterator

import tensorflow as tf

from bert_tf import run_dir
from bert_tf.errors import ServerError


def is_remote(path: str) -> bool:
    """Whether only tf.io.gfile reaches a path."""
    return "://" in path


def pull(remote: str, local: str) -> None:
    """Copies a remote run, if there is one, to an empty local folder."""
    for folder, _, files in tf.io.gfile.walk(remote):
        inside = os.path.relpath(folder, remote)
        for name in files:
            if name.endswith(".partial"):
                continue
            target = os.path.normpath(os.path.join(local, inside, name))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            _copy(f"{folder.rstrip('/')}/{name}", target)


def push(local: str, remote: str) -> None:
    """Copies all files of a local run that the remote one lacks or has older.

    The checkpoint goes last, and metrics.json after it: what is there when a
    copy is cut off can be gone on with. The metrics of a run that was replaced
    are deleted first, the checkpoint of a finished one at the end.
    """
    last = (run_dir.CHECKPOINT, run_dir.METRICS)
    names = sorted(
        _files(local), key=lambda name: last.index(name) if name in last else -1
    )
    if run_dir.METRICS not in names:
        _remove(f"{remote}/{run_dir.METRICS}")
    for name in names:
        source, target = os.path.join(local, name), f"{remote}/{name}"
        if not _is_current(source, target):
            tf.io.gfile.makedirs(os.path.dirname(target))
            _copy(source, target)
    if run_dir.CHECKPOINT not in names:
        _remove(f"{remote}/{run_dir.CHECKPOINT}")


def _remove(path: str) -> None:
    if tf.io.gfile.exists(path):
        tf.io.gfile.remove(path)


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
