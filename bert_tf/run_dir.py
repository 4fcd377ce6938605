"""The files of a run folder, and how they are written."""

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator

from bert_tf import files
from bert_tf.errors import InputError

CONFIG = "config.json"
FLAGS = "flags.txt"
LABELS = "labels.txt"
VERSIONS = "versions.json"
VOCABULARY = "vocab.txt"
BACKBONE = "backbone.json"
WEIGHTS = os.path.join("checkpoints", "best.weights.h5")
# Of a training on all rows, until it takes the place of the best.
REFIT_WEIGHTS = os.path.join("checkpoints", "refit.weights.h5")
# Of an unfinished training.
CHECKPOINT = os.path.join("checkpoints", "latest.npz")
LOGS = "logs"
# Which run of MLflow follows it.
MLFLOW_RUN = "mlflow_run_id.txt"
HISTORY = "history.csv"
METRICS = "metrics.json"
TEST_METRICS = "metrics_test.json"
DATA_REPORT = "data_report.json"
REPORT = "report.html"
BASELINE = "baseline.npz"
# What the linear probe on the checkpoint as it is predicts, by split.
LINEAR_PROBE = "linear_probe.npz"
PREDICTIONS = "predictions.csv"
# What the saved model predicts for its validation split, if trained on it, too.
REFIT_PREDICTIONS = "predictions_refit.csv"
TASK = "task.json"
CALIBRATION = "calibration.json"
DISTILLATION = "distillation.json"
MODEL_CARD = "README.md"
_ASIDE = re.compile(r"\.[0-9a-f]{8}\..+")
# Of a pretraining: a KerasNLP preset folder.
PRESET = "preset"


def check_is_local(path: str) -> None:
    """Raises InputError where a folder's files cannot be opened by path."""
    if files.is_remote(path):
        raise InputError(
            f"--output_dir={path}: only pipelines.train with one seed writes "
            "to remote folders; name a local one and copy it when it is done"
        )


def check_new_dir(path: str) -> None:
    """Raises InputError unless `path` is local and new or empty."""
    check_is_local(path)
    if os.path.exists(path) and not (
        os.path.isdir(path) and not os.listdir(path)
    ):
        raise InputError(
            f"--output_dir={path} is not an empty folder; name a new one"
        )


def check_output_dir(path: str, *, overwrite: bool, resume: str) -> bool:
    """Tells whether the run in `path` is to be resumed.

    Args:
        overwrite: a run there is to be replaced.
        resume: auto (an unfinished run there is resumed), never, or must
            (there has to be one).

    Raises:
        InputError: neither a new run may be written there nor an old one
            resumed.
    """
    is_empty = not os.path.exists(path) or (
        os.path.isdir(path) and not os.listdir(path)
    )
    if not is_empty and not os.path.isdir(path):
        raise InputError(f"--output_dir={path} is a file")
    if os.path.islink(path) or os.path.ismount(path):
        raise InputError(
            f"--output_dir={path} is a link or a mounted disk, which cannot be "
            "renamed into place; name a new folder inside it"
        )
    if overwrite and resume == "must":
        raise InputError(
            "--resume=must and --overwrite_output_dir contradict each other"
        )
    holds_run = os.path.exists(os.path.join(path, CONFIG))
    if holds_run:
        # Now, not when the texts are tokenized.
        with locked(path, shared=True):
            pass
    is_finished = os.path.exists(os.path.join(path, METRICS))
    if overwrite:
        if not is_empty and not holds_run:
            raise InputError(
                f"--overwrite_output_dir: {path} holds no run of bert_tf, so "
                "its files are not deleted; name another folder"
            )
        return False
    if resume == "must" and (not holds_run or is_finished):
        raise InputError(
            f"--resume=must: {path} holds no unfinished run"
            + (", it is finished" if is_finished else "")
        )
    if is_empty:
        return False
    if holds_run and not is_finished and resume != "never":
        return True
    raise InputError(
        f"--output_dir={path} is not empty"
        + (": the run in it is finished" if is_finished else "")
        + "; name another folder, or pass --overwrite_output_dir to replace "
        "the run in it"
    )


@contextlib.contextmanager
def staged(path: str, *, overwrite: bool = False) -> Iterator[str]:
    """Gives a folder to write to, which is renamed to `path` at the end.

    There may be nothing, an empty folder, or with `overwrite` another one in
    which nobody is training.
    """
    path = path.rstrip(os.sep)
    aside = f"{path}.{uuid.uuid4().hex[:8]}.partial"
    os.makedirs(aside)
    try:
        yield aside
        if os.path.isdir(path) and overwrite:
            # Out of the way whole, so that a kill leaves no half of it.
            with locked(path):
                os.rename(path, f"{aside}.old")
        try:
            # Takes the place of nothing, or of an empty folder.
            os.rename(aside, path)
        except OSError as error:
            raise InputError(
                f"--output_dir={path} was filled by someone else meanwhile"
            ) from error
    finally:
        for leftover in (aside, f"{aside}.old"):
            shutil.rmtree(leftover, ignore_errors=True)


@contextlib.contextmanager
def create(path: str, *, overwrite: bool) -> Iterator[str]:
    """Gives a folder to write a new run's first files to, see `staged`.

    A run folder has its config.json, or it is not there.
    """
    with staged(path, overwrite=overwrite) as aside:
        for folder in (os.path.dirname(WEIGHTS), LOGS):
            os.makedirs(os.path.join(aside, folder))
        yield aside


@contextlib.contextmanager
def locked(path: str, *, shared: bool = False) -> Iterator[None]:
    """Keeps other processes from training in the same run folder.

    Any number of processes may hold a shared lock, if none has the other. A
    folder without checkpoints is nobody's.
    """
    folder = os.path.join(path, os.path.dirname(WEIGHTS))
    if not os.path.isdir(folder):
        yield
        return
    with locked_folder(folder, path, shared=shared):
        if not shared:
            _remove_leftovers(path)
        yield


@contextlib.contextmanager
def locked_folder(
    folder: str, path: str, *, shared: bool = False
) -> Iterator[None]:
    """Does what `locked` does, of any folder that is there.

    Args:
        path: the one that messages name.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"--output_dir={path}: another process is training there"
            ) from None
        yield
    finally:
        os.close(descriptor)


def _remove_leftovers(path: str) -> None:
    """Removes files that a kill kept `written_aside` from renaming."""
    for place in (path, os.path.join(path, os.path.dirname(WEIGHTS))):
        for name in os.listdir(place):
            if _ASIDE.fullmatch(name):
                os.remove(os.path.join(place, name))


def check_is_run(path: str) -> None:
    """Raises InputError unless `path` holds a finished run."""
    if not os.path.isdir(path):
        raise InputError(f"{path}: no such folder")
    if not os.path.exists(os.path.join(path, CONFIG)):
        raise InputError(
            f"{path} is not a run folder: it has no {CONFIG}. A run folder is "
            "what pipelines.train writes to --output_dir"
        )
    if "objective" in read_json(os.path.join(path, CONFIG)):
        raise InputError(
            f"{path} is a run of pipelines.pretrain, which knows no classes; "
            f"fine-tune it first: pipelines.train --preset={path}"
        )
    if not os.path.exists(os.path.join(path, METRICS)):
        raise InputError(
            f"{path}: this training did not finish (there is no {METRICS}); "
            "run the same pipelines.train again to resume it"
        )


def keep_refit(path: str) -> None:
    """Puts the weights of a finished run's refit in the place of the best."""
    os.replace(os.path.join(path, REFIT_WEIGHTS), os.path.join(path, WEIGHTS))


def weights(path: str) -> str:
    """Returns the file of a finished run's weights."""
    refit = os.path.join(path, REFIT_WEIGHTS)
    # A kill may have come before `keep_refit`.
    return refit if os.path.exists(refit) else os.path.join(path, WEIGHTS)


@contextlib.contextmanager
def written_aside(path: str) -> Iterator[str]:
    """Gives a path to write a file to, which is then renamed to `path`.

    It is whole or not there. Its suffix is that of `path`. A remote one is
    written to a local disk and then copied.
    """
    folder, name = os.path.split(path)
    if files.is_remote(path):
        files.check_writable(path)
        with tempfile.TemporaryDirectory() as folder:
            aside = os.path.join(folder, name)
            yield aside
            files.upload(aside, path)
        return
    aside = os.path.join(folder, f".{uuid.uuid4().hex[:8]}.{name}")
    try:
        yield aside
        os.replace(aside, path)
    except OSError as error:
        if error.filename is not None:
            raise
        # A write that fails, as on a full disk, does not say where.
        raise OSError(error.errno, error.strerror, path) from error
    finally:
        if os.path.exists(aside):
            os.remove(aside)


def check_space(path: str, num_bytes: int) -> None:
    """Raises OSError where a disk has no room for a file.

    For HDF5, which tells of a full disk in hundreds of stack traces.
    """
    if shutil.disk_usage(os.path.dirname(path)).free < num_bytes:
        reason = f"no space left for its {num_bytes / 1e6:.1f} MB"
        raise write_fault(errno.ENOSPC, reason, path)


def write_fault(number: int, reason: str, path: str) -> OSError:
    """Returns what a training ends with that cannot write a file.

    Args:
        number: one of `errno`.
    """
    return OSError(
        number,
        f"{reason}; when that is mended, start the same command again: "
        "training resumes from the last checkpoint",
        path,
    )


def write_text(path: str, text: str) -> None:
    """Writes a file as `written_aside` does."""
    with (
        written_aside(path) as aside,
        open(aside, "w", encoding="utf-8", newline="\n") as file,
    ):
        file.write(text)


def write_json(path: str, value: object) -> None:
    """Writes JSON in which every number is finite; NaN raises ValueError."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: str) -> dict:
    """Reads a JSON file of the run."""
    with open(path, encoding="utf-8") as file:
        return json.load(file)
