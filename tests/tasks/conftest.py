"""A trained and exported tiny model of each task, made once a run."""

import dataclasses
import functools
import pathlib

import pytest

from bert_tf.config.training import TrainConfig
from bert_tf.inference.saved_model_predictor import SavedModelPredictor
from tests.conftest import made_once
from tests.serving.hostile import HOSTILE, SHORTER
from tests.tasks import files

# Settings of each task, and an example whose answer the tests know.
_SETTINGS = {
    "regression": {"num_train_epochs": 6},
    "multi_label": {
        "label_separator": ";",
        "num_train_epochs": 10,
        "learning_rate": 3e-3,
    },
    "windows": {
        "task": "classification",
        "long_text": "window",
        "max_seq_length": 16,
        "doc_stride": 7,
        "num_train_epochs": 4,
    },
    "token": {"max_seq_length": 24, "num_train_epochs": 6},
    "span": {
        "doc_stride": 6,
        "train_batch_size": 16,
        "learning_rate": 3e-3,
        "num_train_epochs": 4,
    },
}
_EXAMPLES = {
    "classification": ("the film was good",),
    "windows": ("x y " * 8 + "good " * 6,),
    "regression": ("it was good x", "a good plot"),
    "multi_label": ("the plot good x",),
    "token": ("the é good y",),
    "span": ("a good ?", "é x great y"),
}
NAMES = tuple(_EXAMPLES)
_FILES = {"token": "train.conll", "span": "train.json"}


@dataclasses.dataclass(frozen=True)
class TaskRun:
    """What the tests of a task's SavedModel need.

    Attributes:
        name: of the task; "windows" is classification with them.
        run: the run folder.
        model: its SavedModel.
        file: what it was trained on.
        example: a text, or two.
    """

    name: str
    run: str
    model: str
    file: str
    example: tuple[str, ...]

    @functools.cached_property
    def predictor(self) -> SavedModelPredictor:
        """What asks the SavedModel, loaded once."""
        return SavedModelPredictor(self.model)

    @property
    def hostile(self) -> list[bytes]:
        """Hostile texts of a length that does not take minutes."""
        return SHORTER if self.name in ("span", "windows") else HOSTILE


def _write(name: str, folder: pathlib.Path) -> str:
    path = folder / _FILES.get(name, "train.csv")
    if name == "regression":
        header = ("text_a", "text_b", "label")
        return files.write_rows(path, header, files.pair_rows(160))
    if name == "windows":
        return files.write_rows(path, ("text", "label"), files.long_rows(200))
    if name == "multi_label":
        header = ("text", "labels")
        return files.write_rows(path, header, files.label_rows(480))
    if name == "token":
        return files.write_conll(path, files.sentences(240))
    rows = files.questions(240, longest=30)
    return files.write_squad(path, rows)


@pytest.fixture(scope="session")
def trained_task(preset, tmp_path_factory, request):
    """Returns a function from a task's name to its `TaskRun`."""
    from bert_tf.serving.export import export
    from bert_tf.training.train import train_files as train

    @functools.cache
    def build(name: str) -> TaskRun:
        if name == "classification":
            run = request.getfixturevalue("trained_run")
            model = request.getfixturevalue("saved_model")
            file = str(pathlib.Path(run).parent / "train.csv")
            return TaskRun(name, run, model, file, _EXAMPLES[name])

        def make(folder):
            settings = {
                "train_file": (_write(name, folder),),
                "output_dir": str(folder / "run"),
                "preset": preset,
                "task": name,
                "max_seq_length": 20,
                "train_batch_size": 8,
                "learning_rate": 5e-3,
                "validation_split": 0.25,
            }
            train(TrainConfig(**{**settings, **_SETTINGS[name]}))
            export(
                str(folder / "run"),
                name=name,
                models_dir=str(folder / "models"),
            )

        folder = made_once(tmp_path_factory, f"task_{name}", make)
        return TaskRun(
            name,
            str(folder / "run"),
            str(folder / "models" / name / "1"),
            str(folder / _FILES.get(name, "train.csv")),
            _EXAMPLES[name],
        )

    return build


@pytest.fixture(params=NAMES)
def task_run(request, trained_task) -> TaskRun:
    """The `TaskRun` of each task in turn."""
    return trained_task(request.param)
