"""Settings that every training shares: validation, JSON and flags."""

import csv
import dataclasses
import io
import json
import math
import os
from collections.abc import Collection
from typing import Self

from bert_tf import run_dir
from bert_tf.config.read_options import ReadOptions, TextOptions
from bert_tf.errors import InputError, list_some

MIXED_PRECISION = ("float32", "bfloat16", "float16")
JIT_COMPILE = ("auto", "true", "false")
# What comes after the warm-up.
SCHEDULES = ("linear", "cosine", "constant")
RESUME = ("auto", "never", "must")
STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")
# A run may be resumed where these differ.
_NOT_OF_THE_RESULT = (
    "output_dir", "resume", "checkpoint_seconds", "overwrite_output_dir",
    "log_steps", "max_truncated_share", "report_to",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class BaseConfig(TextOptions):
    """The settings of every training; a field has its flag's name."""

    train_file: tuple[str, ...]
    output_dir: str
    validation_file: tuple[str, ...] = ()
    max_seq_length: int = 128
    eval_batch_size: int = 64
    learning_rate: float | None = None
    learning_rate_schedule: str = "linear"
    warmup_proportion: float = 0.1
    weight_decay: float = 0.01
    dropout: float = 0.1
    seed: int = 42
    distribution_strategy: str = "auto"
    tpu: str | None = None
    mixed_precision: str = "float32"
    accumulate_steps: int = 1
    jit_compile: str = "auto"
    log_steps: int = 50
    resume: str = "auto"
    checkpoint_seconds: float = 60.0
    overwrite_output_dir: bool = False

    def _check_files(self) -> None:
        """Makes tuples of lists; --train_file and --output_dir are needed."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, list):
                object.__setattr__(self, field.name, tuple(value))
        # Raises for values that are wrong.
        self.read_options()
        for name in ("train_file", "output_dir"):
            if not getattr(self, name):
                raise InputError(f"--{name} is needed")

    def _check_training(self, *, shortest_sequence: int) -> None:
        """Checks the settings that every training has."""
        self._check_above_zero(
            "train_batch_size", "eval_batch_size", "max_eval_samples",
            "learning_rate", "accumulate_steps", "log_steps",
        )  # fmt: skip
        for name in ("validation_split", "warmup_proportion", "dropout"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise InputError(f"--{name}={value} must be from 0 to below 1")
        if not 0 <= self.weight_decay < math.inf:
            raise InputError(f"--weight_decay={self.weight_decay} is below 0")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"--seed={self.seed} must be from 0 to 4294967295")
        if self.checkpoint_seconds < 0:
            raise InputError("--checkpoint_seconds must not be below 0")
        length = self.max_seq_length
        if length is not None and length < shortest_sequence:
            raise InputError(
                f"--max_seq_length={length} must be at least "
                f"{shortest_sequence}"
            )
        self._check_choice("mixed_precision", MIXED_PRECISION)
        self._check_choice("jit_compile", JIT_COMPILE)
        self._check_choice("resume", RESUME)
        self._check_choice("learning_rate_schedule", SCHEDULES)
        self._check_choice("distribution_strategy", STRATEGIES)

    def _check_above_zero(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InputError(f"--{name}={value} must be above 0")

    def _check_choice(self, name: str, allowed: Collection[str | None]) -> None:
        value = getattr(self, name)
        if value not in allowed:
            raise InputError(
                f"--{name}={value} must be one of "
                f"{', '.join(choice for choice in allowed if choice)}"
            )

    def read_options(self) -> ReadOptions:
        """Returns how the files are to be read."""
        own = {field.name for field in dataclasses.fields(self)}
        return ReadOptions(
            **{
                field.name: getattr(self, field.name)
                for field in dataclasses.fields(ReadOptions)
                if field.name in own
            }
        )

    @property
    def dtype_policy(self) -> str:
        """The name of Keras' dtype policy."""
        if self.mixed_precision == "float32":
            return "float32"
        return f"mixed_{self.mixed_precision}"

    def to_json(self) -> dict:
        """Returns a dict that `from_json` takes."""
        return dataclasses.asdict(self)

    def result_settings(self) -> dict:
        """Returns the settings that decide what training results in."""
        # Through JSON, as those of config.json went: tuples become lists.
        settings = json.loads(json.dumps(self.to_json()))
        return {
            name: value
            for name, value in settings.items()
            if name not in _NOT_OF_THE_RESULT
        }

    @classmethod
    def read(cls, run_path: str) -> Self:
        """Returns the settings in a run folder; raises as `from_json` does."""
        return cls.from_json(
            run_dir.read_json(os.path.join(run_path, run_dir.CONFIG))
        )

    @classmethod
    def from_json(cls, values: dict) -> Self:
        """Builds a configuration from config.json.

        Raises:
            InputError: it is of another kind of run, or of another version.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(values.keys() - known)
        if unknown:
            raise InputError(
                "its config.json is of another kind of run, or of another "
                f"version of bert_tf: {cls.__name__} has no "
                f"{list_some(unknown)}"
            )
        return cls(**values)

    def to_flagfile(self) -> str:
        """Returns the settings as a --flagfile that repeats the run."""
        lines = []
        for name, value in self.to_json().items():
            # A run that is repeated, or resumed, replaces nothing.
            if value in (None, ()) or name == "overwrite_output_dir":
                continue
            if isinstance(value, tuple):
                # As absl's lists read it: names may hold commas.
                line = io.StringIO()
                csv.writer(line, lineterminator="").writerow(value)
                value = line.getvalue()
            if isinstance(value, bool):
                value = str(value).lower()
            lines.append(f"--{name}={value}\n")
        return "".join(lines)
