"""Folders on a remote disk (gs://, s3://): copied here, and back.

Keras writes weights, TensorFlow SavedModels, and NumPy and matplotlib their
files, to local disks only.
"""

import contextlib
import fnmatch
import os
import platform
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence

from absl import logging

from bert_tf import files, run_dir
from bert_tf.errors import InputError, ServerError

# What says that the rest is there is copied last, in this order: a run has its
# config.json, one with a checkpoint can be resumed, one with metrics.json is
# finished.
RUN_LAST = (run_dir.CONFIG, run_dir.CHECKPOINT, run_dir.METRICS)
# A lock that nobody has renewed for so long is of a process that is gone.
_STALE_SECONDS = 1800
_LOCK = ".lock"
# Those of this process.
_held: set[str] = set()
# Size and time of each file when it was copied last.
Marks = dict[str, tuple[int, int]]


@contextlib.contextmanager
def downloaded(path: str) -> Iterator[str]:
    """Gives a local path as it is, and of a remote folder or file a copy."""
    if not files.is_remote(path):
        yield path
        return
    path = path.rstrip("/")
    with tempfile.TemporaryDirectory() as folder:
        local = os.path.join(folder, os.path.basename(path))
        pull_existing(path, local)
        yield local


@contextlib.contextmanager
def local_copy(
    address: str, *, last: Sequence[str] = RUN_LAST
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Gives a local copy of a remote folder, and what copies it back.

    It is copied back in the end, too. Its last part is that of the address.
    Where a disk does not answer, the next call tries again; in the end the copy
    stays.

    Args:
        last: see `push`.

    Raises:
        InputError: another process works on the remote folder.
        ServerError: the disk does not answer, at first or in the end.
    """
    address = address.rstrip("/")
    lock = f"{address}/{_LOCK}"
    was_left = _check_lock(lock)
    folder = tempfile.mkdtemp()
    local = os.path.join(folder, os.path.basename(address))
    marks: Marks = {}
    is_behind = False

    def push_all():
        nonlocal is_behind
        # Also where a signal ends it.
        is_behind = True
        try:
            _renew_lock(lock)
            push(local, address, marks, last=last)
            is_behind = False
        except ServerError as error:
            logging.warning("%s. It is tried again at the next save.", error)

    _held.add(lock)
    try:
        _renew_lock(lock)
        if not was_left or _is_there(address, last):
            marks |= pull(address, local)
        logging.info("%s is worked on in %s.", address, local)
        yield local, push_all
        push_all()
    finally:
        _held.remove(lock)
        if is_behind:
            # The lock stays: it tells of a copy that was cut off.
            logging.error(
                "%s is not complete; all of it is in %s.", address, local
            )
        else:
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(ServerError):
                files.remove(lock)
    if is_behind:
        raise ServerError(f"{address} is not complete; copy {local} there")


def _is_there(address: str, last: Sequence[str]) -> bool:
    """Whether there is more than what a first copy that was cut off leaves."""
    return any(_place(name, last) >= 0 for name in _files(address))


def _check_lock(path: str) -> bool:
    """Returns whether there is a lock that a process left which is gone."""
    if not files.exists(path):
        return False
    with files.open_file(path) as file:
        owner = file.read()
    if owner == _owner(os.getpid()):
        # Else this process had the number of one that was killed, as in a
        # container that is started again.
        is_alive = path in _held
    else:
        is_alive = not _is_gone(owner) and _age(path) < _STALE_SECONDS
    if is_alive:
        folder = os.path.dirname(path)
        raise InputError(
            f"{folder}: another process ({owner}) works there; if it is gone, "
            f"delete {path}"
        )
    return True


def _owner(process: int) -> str:
    return f"{platform.node()}, process {process}"


def _is_gone(owner: str) -> bool:
    """Whether it is a process of this machine, and has ended."""
    process = owner.rpartition(" ")[2]
    if not process.isdigit() or owner != _owner(int(process)):
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def _age(path: str) -> float:
    """Returns seconds, by a file beside it: only that disk has both times."""
    probe = f"{path}.{uuid.uuid4().hex[:8]}"
    files.write_text(probe, "")
    age = files.modified(probe) - files.modified(path)
    files.remove(probe)
    return age


def _renew_lock(path: str) -> None:
    files.write_text(path, _owner(os.getpid()))


def pull(remote: str, local: str) -> Marks:
    """Copies a remote folder, if there is one, to an empty local one."""
    marks = {}
    for name in _files(remote):
        target = os.path.join(local, name)
        files.download(f"{remote}/{name}", target)
        marks[name] = _mark(target)
    return marks


def pull_existing(remote: str, local: str) -> None:
    """Does what `pull` does; InputError where there is no remote folder."""
    if not pull(remote, local):
        raise InputError(f"{remote}: no such folder, or an empty one")


def push(
    local: str,
    remote: str,
    marks: Marks | None = None,
    *,
    last: Sequence[str] = RUN_LAST,
) -> None:
    """Makes the files of a remote folder those of the local one.

    What is there when a copy is cut off can be gone on with: a file that says
    that others are there is deleted before these are replaced.

    Args:
        marks: of the files as they are there; they are copied where they have
            changed since. By the local clock alone.
        last: patterns of the files to copy after the others, in this order.
    """
    marks = {} if marks is None else marks
    new = {name: _mark(os.path.join(local, name)) for name in _files(local)}
    there = set(_files(remote))
    replaced = [
        _place(name, last)
        for name in there.intersection(new)
        if marks.get(name) != new[name]
    ]
    first = min((place for place in replaced if place >= 0), default=len(last))
    for name in sorted(there, key=lambda name: -_place(name, last)):
        is_stale = name not in new and fnmatch.fnmatchcase(name, last[-1])
        if is_stale or _place(name, last) > first:
            files.remove(f"{remote}/{name}")
            there.remove(name)
            marks.pop(name, None)
    for name in sorted(new, key=lambda name: (_place(name, last), name)):
        if marks.get(name) != new[name]:
            files.upload(os.path.join(local, name), f"{remote}/{name}")
            marks[name] = new[name]
    for name in there.difference(new):
        files.remove(f"{remote}/{name}")


def _place(name: str, last: Sequence[str]) -> int:
    """Returns which pattern a file's name fits first; -1 for none."""
    fits = [fnmatch.fnmatchcase(name, pattern) for pattern in last]
    return fits.index(True) if True in fits else -1


def _mark(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


def _files(folder: str) -> list[str]:
    """Returns the files of a folder but the lock's, relative to it."""
    return [name for name in files.list_files(folder) if name[:5] != _LOCK]
