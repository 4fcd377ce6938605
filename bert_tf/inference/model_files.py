"""Reads a model's metadata from its files, without TensorFlow."""

import dataclasses
import os
from collections.abc import Collection, Mapping
from typing import Any

from bert_tf import labels as labels_lib
from bert_tf import run_dir
from bert_tf.config.training import TrainConfig
from bert_tf.data import label_types
from bert_tf.data.label_types import LabelType
from bert_tf.errors import InputError, check_installed

# Of a SavedModel's version: files for people and for this project, which
# TensorFlow Serving ignores.
EXTRA = "assets.extra"
SAVED_MODEL = "saved_model.pb"
ONNX_MODEL, _ONNX_SUFFIX = "model.onnx", ".onnx"
# What 8 bits cost and gain, as the rows of a table.
QUANTIZATION = "quantization.json"
# The names of its inputs, and of outputs that had others.
SINGLE_INPUTS = ("text",)
PAIR_INPUTS = ("text_a", "text_b")
QUESTION_INPUTS = ("question", "context")
TOKEN_INPUTS = ("input_word_ids", "input_mask", "input_type_ids")
_FORMER_NAMES = {"places": "offsets", "owners": "example_index"}


@dataclasses.dataclass(frozen=True)
class ModelInfo:
    """A run folder or a version of a SavedModel.

    Attributes:
        path: its folder.
        config: the settings, of a run folder alone.
        task: what it was trained for.
        class_names: what labels.txt holds.
        parameters: of the task, see `Task.parameters`.
    """

    path: str
    config: TrainConfig | None
    task: str
    class_names: tuple[str, ...]
    parameters: dict

    @property
    def label_type(self) -> LabelType:
        """What the labels of its examples have to be."""
        return label_types.of_task(
            self.task, separator=self.parameters.get("separator", ",")
        )


def is_run(path: str) -> bool:
    """Whether a path is a run folder."""
    return os.path.exists(os.path.join(path, run_dir.CONFIG))


def read_info(path: str) -> ModelInfo:
    """Reads what the files of a run folder or a SavedModel say.

    Args:
        path: a finished run, saved_models/NAME, one of its versions, or its
            ONNX model.

    Raises:
        InputError: it is none of them.
    """
    if is_run(path):
        run_dir.check_is_run(path)
        return _read_info(path, path, TrainConfig.read(path))
    path = find_exported(path)
    if is_onnx(path):
        folder = os.path.join(os.path.dirname(path), EXTRA)
        return _read_info(path, folder, None)
    return _read_info(path, os.path.join(path, EXTRA), None)


def _read_info(path: str, folder: str, config: TrainConfig | None) -> ModelInfo:
    """Reads labels.txt and task.json, which the simplest task does without."""
    labels = os.path.join(folder, run_dir.LABELS)
    if not os.path.exists(labels):
        raise not_exported(path)
    file = os.path.join(folder, run_dir.TASK)
    saved = run_dir.read_json(file) if os.path.exists(file) else {}
    return ModelInfo(
        path=path,
        config=config,
        task=config.task if config else saved.get("task", "classification"),
        class_names=labels_lib.read_labels(labels),
        parameters=saved.get("parameters", {}),
    )


def not_exported(path: str) -> InputError:
    """Returns the error for a model that is not of this project."""
    return InputError(
        f"{path} was not exported by bert_tf, or its {EXTRA} is missing; "
        "pipelines.export writes a model from a run folder"
    )


def is_onnx(path: str) -> bool:
    """Whether a path is that of an ONNX model."""
    return path.endswith(_ONNX_SUFFIX) and not os.path.isdir(path)


def read_quantization(path: str) -> list[list[str]]:
    """Returns the rows of a table of an ONNX model and its copy of 8 bits.

    See `onnx_quantization.compare`; none where there is no such copy.
    """
    file = os.path.join(os.path.dirname(path), EXTRA, QUANTIZATION)
    return run_dir.read_json(file) if os.path.exists(file) else []


def find_exported(path: str) -> str:
    """Returns an ONNX model's file, or the newest version of a SavedModel.

    Args:
        path: a file of --format=onnx or its folder, or see `find_version`.

    Raises:
        InputError: there is none.
        InstallationError: ONNX Runtime is missing.
    """
    file = os.path.join(path, ONNX_MODEL)
    if os.path.exists(file):
        path = file
    if not is_onnx(path):
        return find_version(path)
    if not os.path.exists(path):
        raise InputError(f"{path}: no such file")
    check_installed("onnxruntime", path)
    return path


def find_version(path: str) -> str:
    """Returns the folder of the newest version below a model's name."""
    if not os.path.isdir(path):
        raise InputError(f"{path}: no such model folder")
    if os.path.exists(os.path.join(path, SAVED_MODEL)):
        return path
    numbers = versions(path)
    if not numbers:
        raise InputError(
            f"{path} holds no SavedModel; pipelines.export writes one from a "
            "run folder"
        )
    return os.path.join(path, str(numbers[-1]))


def versions(model_dir: str) -> list[int]:
    """Returns the versions of a model, oldest first."""
    if not os.path.isdir(model_dir):
        return []
    return sorted(int(n) for n in os.listdir(model_dir) if n.isdigit())


def text_inputs(*, has_pairs: bool, has_windows: bool) -> tuple[str, ...]:
    """Returns the names of the texts that a model takes.

    Args:
        has_pairs: whether it takes two.
        has_windows: whether the second may be longer than the model.
    """
    if not has_pairs:
        return SINGLE_INPUTS
    return QUESTION_INPUTS if has_windows else PAIR_INPUTS


def in_order(names: Collection[str]) -> tuple[str, ...]:
    """Returns names of text inputs in the order of a row's texts.

    A server lists them by the alphabet; () where they are none of ours.
    """
    for ours in (SINGLE_INPUTS, PAIR_INPUTS, QUESTION_INPUTS):
        if set(ours) == set(names):
            return ours
    return ()


def current_names(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a signature's outputs by the names that they have today.

    Models exported before December 2026 say `places` and `owners`; they are
    read until version 1.0.
    """
    return {_FORMER_NAMES.get(name, name): outputs[name] for name in outputs}


def token_inputs(tokens: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the signature `tokens` takes of what `tokenize` answers.

    That also tells offsets and example_index, where the task needs them.
    """
    return {name: tokens[name] for name in TOKEN_INPUTS}
