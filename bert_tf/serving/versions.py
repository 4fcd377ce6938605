"""Publishes and prunes versions of a model.

TensorFlow Serving polls a model's folder and loads every whole number that it
finds there, so a version must never be seen half-written.
"""

import contextlib
import fcntl
import functools
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence

from bert_tf import files, remote
from bert_tf.errors import InputError
from bert_tf.inference import model_files
from bert_tf.inference.model_files import versions
from bert_tf.serving import bundle

_FIRST_VERSION = 1
# What an export that was killed left beside the models is deleted by a later
# one, when no export can still be at work on it.
_LEFTOVER_SECONDS = 24 * 3600
# See `remote.push`.
_LAST = (f"*/{model_files.SAVED_MODEL}", f"{bundle.FOLDER}/*")


def check_name(name: str, *, flag: str = "--name") -> None:
    """Raises InputError unless a model may be published by a name.

    Args:
        flag: that gives the name.
    """
    # It also goes into text formats, YAML and addresses.
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name or ""):
        raise InputError(
            f"{flag}={name} must be a plain folder name of letters, digits, "
            "_, . and -"
        )


def complete_versions(model_dir: str) -> list[int]:
    """Returns the versions that a server can load, oldest first."""
    return [
        version
        for version in versions(model_dir)
        if os.path.exists(
            os.path.join(model_dir, str(version), model_files.SAVED_MODEL)
        )
    ]


def publishing(export: Callable[..., str]) -> Callable[..., str]:
    """Lets an export go to a remote models_dir, by a copy of the model there.

    A server that polls the folder sees a version when it is whole but for its
    graph, which comes after the weights; models.config comes last.
    """

    @functools.wraps(export)
    def to_any_disk(
        run_path: str, *, name: str, models_dir: str, **kwargs
    ) -> str:
        check_name(name)
        if not files.is_remote(models_dir):
            return export(run_path, name=name, models_dir=models_dir, **kwargs)
        address = f"{models_dir.rstrip('/')}/{name}"
        with remote.local_copy(address, last=_LAST) as (folder, _):
            cut_off = set(versions(folder)) - set(complete_versions(folder))
            for version in cut_off:
                shutil.rmtree(os.path.join(folder, str(version)))
            path = export(
                run_path,
                name=name,
                models_dir=os.path.dirname(folder),
                **kwargs,
            )
        return f"{address}/{os.path.basename(path)}"

    return to_any_disk


@contextlib.contextmanager
def staging(models_dir: str, name: str) -> Iterator[str]:
    """Gives a path beside the models to write to; deleted at the end."""
    os.makedirs(models_dir, exist_ok=True)
    _delete_leftovers(models_dir)
    path = os.path.join(models_dir, f".{name}-{uuid.uuid4().hex}.partial")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def publish(
    staged: str,
    models_dir: str,
    name: str,
    *,
    example: Mapping[str, Sequence[str]],
    keep: int | None = None,
) -> str:
    """Renames a finished folder to the next version and writes the bundle.

    Args:
        staged: a folder of `staging` that holds the complete SavedModel.
        example: inputs of serving_default, for the bundle.
        keep: delete the oldest versions beyond so many, but never one that
            models.config names, before or after; None keeps all.

    Returns:
        The version's folder.
    """
    model_dir = os.path.join(models_dir, name)
    with locked(models_dir, name):
        os.makedirs(model_dir, exist_ok=True)
        version = max(versions(model_dir), default=_FIRST_VERSION - 1) + 1
        target = os.path.join(model_dir, str(version))
        os.rename(staged, target)
        # Free again; the bundle's files are renamed from it, too.
        os.makedirs(staged)
        in_use = bundle.write(
            os.path.join(model_dir, bundle.FOLDER),
            name,
            newest=version,
            example=example,
            staging_dir=staged,
        )
        if keep is not None:
            _prune(model_dir, keep, in_use=in_use)
    return target


def replace(staged: str, models_dir: str, name: str, folder: str) -> None:
    """Renames a folder of `staging` to one that is no version, or over it."""
    target = os.path.join(models_dir, name, folder)
    with locked(models_dir, name):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        before = f"{staged}.partial"
        if os.path.exists(target):
            os.rename(target, before)
            # A leftover of now, should this process be killed here.
            os.utime(before)
        os.rename(staged, target)
        shutil.rmtree(before, ignore_errors=True)


def _prune(model_dir: str, keep: int, *, in_use: set[int]) -> None:
    old = versions(model_dir)[:-keep]
    for version in old:
        if version in in_use:
            continue
        path = os.path.join(model_dir, str(version))
        # Out of the server's sight first, whole.
        aside = os.path.join(
            os.path.dirname(model_dir), f".{uuid.uuid4().hex}.partial"
        )
        os.rename(path, aside)
        shutil.rmtree(aside)


def _delete_leftovers(models_dir: str) -> None:
    for entry in os.listdir(models_dir):
        path = os.path.join(models_dir, entry)
        if entry.startswith(".") and entry.endswith(".partial"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - os.path.getmtime(path) > _LEFTOVER_SECONDS:
                    shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def locked(models_dir: str, name: str) -> Iterator[None]:
    """Waits for the other exports of a model; released by any death."""
    with open(os.path.join(models_dir, f".{name}.lock"), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
