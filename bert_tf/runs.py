"""Opens and asks models from Python: frames or files in, frames out.

Nothing here imports TensorFlow before the data are read and checked.
"""

import dataclasses
import functools
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from bert_tf import files, quiet, remote, run_dir
from bert_tf.config.read_options import ReadOptions
from bert_tf.config.training import TrainConfig
from bert_tf.data import examples
from bert_tf.data.readers import frames
from bert_tf.errors import InputError, did_you_mean
from bert_tf.inference import model_files
from bert_tf.inference.model_files import ModelInfo

if TYPE_CHECKING:
    # It imports TensorFlow.
    from bert_tf.tasks.answers import LoadedModel

_BATCH_SIZE = 64
# A path, several, a DataFrame, texts, or texts and their labels.
Data = str | os.PathLike | Sequence | pd.DataFrame


def open_model(info: ModelInfo, *, batch_size: int) -> "LoadedModel":
    """Loads a model of any kind, importing no more than it needs.

    Args:
        info: what its files say.
        batch_size: texts a step.
    """
    with quiet.imports():
        if info.config is not None:
            from bert_tf.inference import loaded_run as kind
        elif model_files.is_onnx(info.path):
            from bert_tf.inference import onnx_predictor as kind
        else:
            from bert_tf.inference import saved_model_predictor as kind
    return kind.open_model(info.path, batch_size=batch_size)


class Model:
    """A model that answers texts: a run folder's, a SavedModel or ONNX.

    Attributes:
        path: the run folder, the SavedModel's version or the ONNX file.
        task: what it was trained for, as `--task`.
        class_names: in the order of the columns of probabilities.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        copy: tempfile.TemporaryDirectory | None = None,
    ):
        """Reads what its files say; the weights are loaded when it is asked.

        Args:
            path: a finished run, saved_models/NAME (its newest version),
                saved_models/NAME/VERSION, or an ONNX model; `load` takes
                remote ones, too.
            copy: of a remote one, deleted with the model.

        Raises:
            InputError: it is none of them.
        """
        self._copy = copy
        path = os.fspath(path)
        self._info = model_files.read_info(path)
        self.path = self._info.path
        self.task = self._info.task
        self.class_names = self._info.class_names

    def __repr__(self) -> str:
        """Says what it is."""
        classes = f", {len(self.class_names)} classes" * bool(self.class_names)
        return f"<{type(self).__name__} {self.path}: {self.task}{classes}>"

    def predict(self, data: Data, **options) -> pd.DataFrame:
        """Answers texts.

        Args:
            data: texts, or pairs of texts as tuples of two; a DataFrame; or
                paths of files. Columns are found as in a training.
            **options: flags on reading, such as text_column="body".

        Returns:
            A row for each text, with the columns of predictions.csv: of a
            classification label, score and a probability for each class. The
            index is that of a given DataFrame.

        Raises:
            InputError: a column is missing, or there are no texts.
        """
        from bert_tf.tasks.answers import answer_table, build_answer_rows

        options = self._read_options(options)
        source = frames.as_source(data, "<data>", options, labelled=False)
        rows, _ = examples.read_examples(source, options, labelled=False)
        segments = examples.segments(rows)
        model = self._loaded
        if len(segments) != 1 + model.has_pairs:
            raise InputError(
                f"{self.path} takes {1 + model.has_pairs} texts a row, and the "
                f"data have {len(segments)}; see text_column and "
                "text_pair_column"
            )
        encoded = model.encode(segments)
        answer_rows = build_answer_rows(
            model.task, segments, encoded, model.predict_encoded(encoded)
        )
        table = answer_table(model.task, answer_rows)
        if "entities" in table:
            table["entities"] = table["entities"].map(json.loads)
        if isinstance(data, pd.DataFrame):
            table.index = data.index
        return table

    def evaluate(self, data: Data, **options) -> dict[str, Any]:
        """Answers labelled rows and returns what metrics.json would hold.

        Args:
            data: a DataFrame, texts and labels, or paths of files.
            **options: flags on reading, such as label_column="topic".

        Raises:
            InputError: a column is missing, or a label is not the model's.
        """
        from bert_tf.evaluation import evaluate

        options = self._read_options(options)
        rows = examples.read_labelled(
            frames.as_source(data, "<data>", options, labelled=True),
            self._info.label_type,
            self._info.class_names,
            options,
        )
        return evaluate.evaluate(self._loaded, rows).metrics

    def explain(self, *texts: str) -> list[tuple[str, float]]:
        """Tells how much each word of a text speaks for its answer.

        Measured: each word, or of a long text each run of words, is left out
        once (Zeiler and Fergus 2014, 1311.2901).

        Args:
            *texts: one, or a pair.

        Returns:
            Words and their weights, in the order of the text; above 0 they
            speak for the answer, the strongest has 1 or -1.

        Raises:
            InputError: the model gives a text no class, or reads it in
                several windows.
        """
        from bert_tf.evaluation import attribution

        model = self._loaded
        encoded = model.encode(tuple([text] for text in texts))
        if not model.task.is_multiclass or len(encoded.lengths) > 1:
            raise InputError(
                "words are told of texts that have one class, and are not "
                "read in windows"
            )
        return attribution.explain(
            model.predict_encoded, encoded, model.tokens
        ).words

    @property
    def has_pairs(self) -> bool:
        """Whether it takes two texts a row; loads the weights."""
        return self._loaded.has_pairs

    def _read_options(self, given: Mapping[str, Any]) -> ReadOptions:
        """Returns how data are read: columns as those of the training."""
        config = self._info.config
        names = {}
        if config is not None:
            names = {**config.read_options().columns(), "id_column": None}
            names["label_names"] = config.label_names
        return build(ReadOptions, {**names, **given})

    @functools.cached_property
    def _loaded(self):
        return open_model(self._info, batch_size=_BATCH_SIZE)


class Run(Model):
    """A finished training."""

    @property
    def config(self) -> TrainConfig:
        """Its settings, with what was decided."""
        return self._info.config

    @functools.cached_property
    def metrics(self) -> dict[str, Any]:
        """What metrics.json holds: of the validation split."""
        return run_dir.read_json(os.path.join(self.path, run_dir.METRICS))

    @functools.cached_property
    def test_metrics(self) -> dict[str, Any] | None:
        """The same of the test split; None where there was none."""
        path = os.path.join(self.path, run_dir.TEST_METRICS)
        return run_dir.read_json(path) if os.path.exists(path) else None

    @property
    def report(self) -> "Report":
        """report.html, which a notebook shows."""
        return Report(os.path.join(self.path, run_dir.REPORT))

    def export(
        self,
        name: str,
        *,
        models_dir: str = "saved_models",
        format: str = "saved_model",
        quantize: str | None = None,
    ) -> str:
        """Exports it as the next version of a model and returns its folder.

        Args:
            format: or "transformers", "keras_hub" or "onnx", for these
                libraries.
            quantize: "int8" for such a model beside that of "onnx".

        Raises:
            InputError: see `bert_tf.serving.export.export`, and that of
                `bert_tf.serving.formats.export_format`.
        """
        if format == "saved_model":
            if quantize:
                raise InputError("quantize is of format='onnx'")
            from bert_tf.serving.export import export

            return export(self.path, name=name, models_dir=models_dir)
        from bert_tf.serving.formats import export_format

        return export_format.export(
            self.path,
            name=name,
            models_dir=models_dir,
            format=format,
            quantize=quantize,
        )


@dataclasses.dataclass(frozen=True)
class Report:
    """A page: its path, and what shows it in a notebook."""

    path: str

    def _repr_html_(self) -> str:
        from html import escape

        with open(self.path, encoding="utf-8") as file:
            page = file.read()
        return (
            f'<iframe srcdoc="{escape(page)}" title="report" '
            'style="width: 100%; height: 40em; border: 0"></iframe>'
        )


def load(path: str | os.PathLike) -> Model:
    """Opens a finished run, which is a `Run`, or a SavedModel.

    Args:
        path: see `Model`; local or remote (gs://, s3://).

    Raises:
        InputError: it is neither.
    """
    path, copy = _local(os.fspath(path))
    kind = Run if model_files.is_run(path) else Model
    return kind(path, copy=copy)


def _load_pyfunc(path: str) -> Model:
    """Opens a model that MLflow has, by the name that it looks for."""
    return load(path)


def _local(path: str) -> tuple[str, tempfile.TemporaryDirectory | None]:
    """Returns a model's folder, and of a remote one the copy that it is in."""
    if not files.is_remote(path):
        return path, None
    copy = tempfile.TemporaryDirectory()
    remote.pull_existing(path.rstrip("/"), copy.name)
    return copy.name, copy


def build(settings_class: type, values: Mapping[str, Any]):
    """Builds settings; InputError for a name that is none of theirs.

    Args:
        settings_class: `TrainConfig` or `ReadOptions`.
        values: by name.
    """
    known = {field.name for field in dataclasses.fields(settings_class)}
    for name in values:
        if name not in known:
            raise InputError(
                f"there is no setting {name}.{did_you_mean(name, known)}"
            )
    return settings_class(**values)
