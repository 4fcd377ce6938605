"""Saves and restores an unfinished training, bit for bit.

The order of the rows is a pure function of seed and epoch, so epoch and step
say where the data stands; the dropout's seeds are variables like the weights.
"""

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Sequence
from concurrent import futures

import keras
import numpy as np
import pandas as pd

from bert_tf import run_dir
from bert_tf.config.training import SELECTION_METRICS
from bert_tf.data.input_pipeline import EncodedTexts
from bert_tf.data.tfrecords import TokenizedRecords
from bert_tf.errors import InputError

# Writing may take so large a share of the time.
_LARGEST_SHARE = 0.05
_STATE = "state"
# Of trainings interrupted before December 2026; read until version 1.0.
_FORMER_NAMES = {"hits": "num_correct"}


@dataclasses.dataclass
class TrainingState:
    """Where a fine-tuning stands.

    Attributes:
        epoch: epochs that are trained and validated; -1 before epoch 0, where
            there is one: the linear probe.
        step: steps done in the current epoch.
        loss_sum: over these steps.
        num_correct: likeliest classes that were right, over these steps.
        best: the best validation metric so far, None where undefined.
        best_loss: its validation loss, which breaks ties.
        best_epoch: its epoch, counted from 1; 0 before the first.
        history: a row of history.csv for each epoch.
        seconds: spent training.
        data: fingerprint of the examples.
    """

    data: dict[str, str]
    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    num_correct: float = 0.0
    best: float | None = None
    best_loss: float = math.inf
    best_epoch: int = 0
    history: list[dict] = dataclasses.field(default_factory=list)
    seconds: float = 0.0

    @property
    def number(self) -> int:
        """Of the epoch that is being trained."""
        return self.epoch + 1

    def is_better(self, value: float | None, loss: float, metric: str) -> bool:
        """Whether a metric's value is better, or as good and the loss is lower.

        None is where it is undefined, which nothing is worse than.
        """
        if value == self.best:
            return loss < self.best_loss
        if value is None or self.best is None:
            return value is not None
        is_more = value > self.best
        return is_more if SELECTION_METRICS[metric] else value < self.best

    def describe(self) -> str:
        """Says in words where."""
        return f"epoch {self.number}, step {self.step}"


class Checkpoints:
    """Writes and reads the one file that holds the latest state.

    Args:
        path: of the file.
        variables: all that training changes, in a fixed order.
        every_seconds: how often `is_due` says so, at most; large models are
            written less often, so that it takes 5% of the time.
        writes: whether this process is the one that writes.
        after_save: called when the file is there; what it does must be done
            before training continues.
        state_class: the dataclass of the state.
    """

    def __init__(
        self,
        path: str,
        variables: Sequence[keras.Variable],
        *,
        every_seconds: float,
        writes: bool,
        after_save: Callable[[], None] | None = None,
        state_class: type = TrainingState,
    ):
        self._path = path
        self.variables = variables
        self._pause = self._every_seconds = every_seconds
        self._writes = writes
        self._after_save = after_save
        self._state_class = state_class
        self._last = time.monotonic()
        self._pool = futures.ThreadPoolExecutor(1)
        self._writing: futures.Future | None = None

    def is_due(self) -> bool:
        """Tells whether it is time to write again."""
        return time.monotonic() - self._last >= self._pause

    def save(self, state: TrainingState) -> None:
        """Copies the state and writes it while training continues.

        Aside, then renames: a kill leaves the file before.
        """
        if not self._writes:
            return
        self.finish()
        arrays = {
            # A copy: training keeps changing the variables.
            _key(i, variable): np.asarray(variable)
            for i, variable in enumerate(self.variables)
        }
        arrays[_STATE] = np.array(json.dumps(dataclasses.asdict(state)))
        self._last = time.monotonic()
        self._writing = self._pool.submit(self._write, arrays)
        if self._after_save is not None:
            self.finish()
            self._after_save()

    def finish(self) -> None:
        """Waits until what was saved is written."""
        if self._writing is not None:
            self._writing.result()
            self._writing = None

    def _write(self, arrays: dict[str, np.ndarray]) -> None:
        start = time.monotonic()
        # Always the same name: what a kill leaves is written over.
        aside = f"{self._path}.partial"
        try:
            with open(aside, "wb") as file:
                np.savez(file, **arrays)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            # What is half of it would keep the disk full.
            with contextlib.suppress(OSError):
                os.remove(aside)
            raise run_dir.write_fault(
                error.errno, error.strerror, self._path
            ) from error
        os.replace(aside, self._path)
        self._pause = max(
            self._every_seconds, (time.monotonic() - start) / _LARGEST_SHARE
        )

    def restore(self) -> TrainingState | None:
        """Reads the file into the variables; None where there is none."""
        if not os.path.exists(self._path):
            return None
        with np.load(self._path) as arrays:
            state = self._state_class(
                **{
                    _FORMER_NAMES.get(name, name): value
                    for name, value in json.loads(str(arrays[_STATE])).items()
                }
            )
            for i, variable in enumerate(self.variables):
                key = _key(i, variable)
                if key not in arrays:
                    raise InputError(
                        f"{self._path} holds the training of another model "
                        f"(it lacks {key}); pass --overwrite_output_dir to "
                        "start again"
                    )
                variable.assign(arrays[key])
        return state

    def checksum(self) -> float:
        """Returns one number of all variables, to compare workers by."""
        digest = hashlib.sha256()
        for variable in self.variables:
            digest.update(np.ascontiguousarray(np.asarray(variable)).data)
        return float(int.from_bytes(digest.digest()[:6], "big"))

    def delete(self) -> None:
        """Deletes the file: the training is finished."""
        self.finish()
        for path in (self._path, f"{self._path}.partial"):
            if self._writes and os.path.exists(path):
                os.remove(path)


def as_number(fingerprint: dict[str, str]) -> float:
    """Returns a number that tells fingerprints apart, exact as a float."""
    digest = hashlib.sha256(json.dumps(fingerprint).encode()).digest()
    return float(int.from_bytes(digest[:6]))


def data_fingerprint(
    splits: dict[str, pd.DataFrame],
    encoded: dict[str, EncodedTexts | TokenizedRecords],
) -> dict[str, str]:
    """Returns rows and digest of each split."""
    digests = {}
    for name, split in splits.items():
        if isinstance(encoded[name], TokenizedRecords):
            digests[name] = f"{len(split)} rows, {encoded[name].fingerprint}"
            continue
        digests[name] = digest(split)
    return digests


def digest(rows: pd.DataFrame) -> str:
    """Returns the number of rows and a digest of what they hold."""
    found = hashlib.sha256()
    for column in ("text", "text_pair", "label", "weight"):
        if column in rows:
            for value in rows[column]:
                found.update(str(value).encode("utf-8", "ignore") + b"\0")
    return f"{len(rows)} rows, {found.hexdigest()[:16]}"


def check_same(kind: str, saved: dict, current: dict) -> None:
    """Raises InputError that names what differs from the run's."""
    differences = [
        f"{key}: {saved.get(key)} there, {current.get(key)} now"
        for key in sorted(saved.keys() | current.keys())
        if saved.get(key) != current.get(key)
    ]
    if differences:
        raise InputError(
            f"the run to resume has other {kind} ({'; '.join(differences)}); "
            "repeat its command, name another --output_dir, or pass "
            "--overwrite_output_dir to start again"
        )


def _key(position: int, variable: keras.Variable) -> str:
    return f"{position}:{'x'.join(map(str, variable.shape))}:{variable.dtype}"
