"""What a model's files say about it, without TensorFlow."""

import dataclasses
import os

from bert_tf import labels as labels_lib
from bert_tf import run_dir
from bert_tf.config.training import TrainConfig
from bert_tf.data import label_types
from bert_tf.data.label_types import LabelType
from bert_tf.errors import InputError

# Of a SavedModel's version: files for people and for this project, which
# TensorFlow Serving ignores.
EXTRA = "assets.extra"
SAVED_MODEL = "saved_model.pb"


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
        path: a finished run, saved_models/NAME, or one of its versions.

    Raises:
        InputError: it is neither.
    """
    if is_run(path):
        run_dir.check_is_run(path)
        return _read_info(path, path, TrainConfig.read(path))
    path = find_version(path)
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
    """Returns the error for a SavedModel that is not of this project."""
    return InputError(
        f"{path} was not exported by bert_tf; pipelines.export writes a "
        "SavedModel from a run folder"
    )


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
