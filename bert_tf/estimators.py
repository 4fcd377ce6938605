"""scikit-learn's verbs: fit, predict, predict_proba and score.

A fitted estimator is a finished run: in a temporary folder that goes with it,
or in `output_dir`.
"""

import dataclasses
import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from bert_tf import run_dir, runs, trainings
from bert_tf.config.training import TrainConfig
from bert_tf.data.readers import frames
from bert_tf.data.readers.frames import FrameSource
from bert_tf.errors import InputError, did_you_mean

_SOURCE = "<X>"
_ESTIMATOR = "estimator.json"


class BertEstimator(BaseEstimator):
    """What both kinds of estimators share.

    Args:
        preset: this and what follows are the flags of pipelines.train; None
            and "auto" are decided by the data.
        num_train_epochs: 0 for a linear probe alone, in seconds.
        output_dir: the run folder of `fit`; one that is there is replaced.
        **settings: other flags.
    """

    _task: str

    def __init__(
        self,
        *,
        preset: str = "minilm_l6_en_uncased",
        num_train_epochs: int | None = None,
        train_batch_size: int | None = None,
        learning_rate: float | None = None,
        max_seq_length: int | None = None,
        pooling: str = "auto",
        head_init: str = "auto",
        freeze_backbone: bool = False,
        validation_split: float = 0.1,
        seed: int = 42,
        output_dir: str | None = None,
        **settings,
    ):
        self.preset = preset
        self.num_train_epochs = num_train_epochs
        self.train_batch_size = train_batch_size
        self.learning_rate = learning_rate
        self.max_seq_length = max_seq_length
        self.pooling = pooling
        self.head_init = head_init
        self.freeze_backbone = freeze_backbone
        self.validation_split = validation_split
        self.seed = seed
        self.output_dir = output_dir
        self._settings = settings

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Returns the parameters, the other flags among them."""
        return {**super().get_params(deep), **self._settings}

    def set_params(self, **params) -> Self:
        """Sets parameters by name; InputError for one that is no flag."""
        own = super().get_params(deep=False)
        known = {field.name for field in dataclasses.fields(TrainConfig)}
        for name, value in params.items():
            if name in own:
                setattr(self, name, value)
            elif name in known:
                self._settings[name] = value
            else:
                raise InputError(
                    f"there is no parameter {name}."
                    f"{did_you_mean(name, [*own, *known])}"
                )
        return self

    def __sklearn_tags__(self):
        """Says that it takes texts."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags

    def _fit(self, X, labels: Sequence[str], sample_weight, **settings) -> Self:
        frame = _frame(X)
        if len(frame) != len(labels):
            raise InputError(
                f"{_SOURCE} has {len(frame):,} texts and y {len(labels):,} "
                "labels"
            )
        params = self.get_params(deep=False)
        folder = params.pop("output_dir")
        temporary = None
        if folder is None:
            temporary = tempfile.TemporaryDirectory(prefix="bert_tf_")
            folder = os.path.join(temporary.name, "run")
        config = runs.build(
            TrainConfig,
            {
                **params,
                **settings,
                "task": self._task,
                "train_file": (_SOURCE,),
                "output_dir": folder,
                "overwrite_output_dir": True,
            },
        )
        source = FrameSource(_SOURCE, frame.assign(label=labels))
        trainings.train_config(
            config, {"train_file": source}, sample_weight=sample_weight
        )
        self.run_ = runs.load(folder)
        # The folder is deleted with the estimator.
        self._temporary = temporary
        return self

    def _answers(self, X) -> pd.DataFrame:
        check_is_fitted(self, "run_")
        return self.run_.predict(_frame(X))

    def save(self, path: str | os.PathLike) -> None:
        """Writes the run, and what makes it an estimator, to a new folder."""
        check_is_fitted(self, "run_")
        run_dir.check_new_dir(os.fspath(path))
        shutil.copytree(self.run_.path, path, dirs_exist_ok=True)
        state = {"params": self.get_params(deep=False), **self._fitted()}
        run_dir.write_json(os.path.join(path, _ESTIMATOR), state)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Reads what `save` wrote; pipelines.export takes the folder, too.

        Raises:
            InputError: there is none.
        """
        file = os.path.join(path, _ESTIMATOR)
        if not os.path.exists(file):
            raise InputError(f"{path} was not written by {cls.__name__}.save")
        state = run_dir.read_json(file)
        estimator = cls(**state.pop("params"))
        estimator.run_ = runs.load(path)
        estimator._set_fitted(state)
        return estimator

    def __getstate__(self) -> dict[str, Any]:
        """Returns parameters and, fitted, the run's files."""
        state = super().__getstate__().copy()
        state.pop("_temporary", None)
        run = state.pop("run_", None)
        if run is not None:
            packed = io.BytesIO()
            with tarfile.open(fileobj=packed, mode="w:gz") as archive:
                archive.add(run.path, arcname="run")
            state["_files"] = packed.getvalue()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Unpacks the files into a temporary folder."""
        packed = state.pop("_files", None)
        super().__setstate__(state)
        if packed is not None:
            self._temporary = tempfile.TemporaryDirectory(prefix="bert_tf_")
            with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                archive.extractall(self._temporary.name, filter="data")
            self.run_ = runs.load(os.path.join(self._temporary.name, "run"))

    def _fitted(self) -> dict[str, Any]:
        return {}

    def _set_fitted(self, state: dict[str, Any]) -> None:
        del state


class BertClassifier(ClassifierMixin, BertEstimator):
    """A BERT that says which class a text is of.

    Attributes:
        classes_: sorted, of the type of y.
        run_: the `Run`: its report, metrics and export.
    """

    _task = "classification"

    def fit(self, X, y, sample_weight=None) -> Self:
        """Trains on texts X and their classes y.

        Args:
            X: texts, or pairs of them as tuples of two; a list, an array, or a
                Series.
            y: classes [texts].
            sample_weight: how much each text counts <float>[texts].

        Raises:
            InputError: there are fewer than two classes, a text is missing, or
                there is no such parameter.
        """
        frame, y = _frame(X), _one_dimensional(y)
        if type_of_target(y) not in ("binary", "multiclass"):
            raise InputError(
                f"Unknown label type: {type_of_target(y)}; classes are needed"
            )
        self.classes_, ids = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError(
                "y has one class, and a classifier needs two or more"
            )
        names = tuple(str(one) for one in self.classes_.tolist())
        return self._fit(
            frame, list(map(str, ids)), sample_weight, label_names=names
        )

    def predict_proba(self, X) -> np.ndarray:
        """Returns <float>[texts, classes], in the order of `classes_`."""
        answers = self._answers(X)
        return answers[
            [f"probability_{name}" for name in self.classes_.tolist()]
        ].to_numpy()

    def predict(self, X) -> np.ndarray:
        """Returns the likeliest class of each text."""
        ids = self.predict_proba(X).argmax(axis=1)
        return self.classes_[ids]

    def _fitted(self) -> dict[str, Any]:
        return {
            "classes": self.classes_.tolist(),
            "dtype": str(self.classes_.dtype),
        }

    def _set_fitted(self, state: dict[str, Any]) -> None:
        self.classes_ = np.array(state["classes"], state["dtype"])


class BertRegressor(RegressorMixin, BertEstimator):
    """A BERT that gives a text, or a pair of them, a number."""

    _task = "regression"

    def fit(self, X, y, sample_weight=None) -> Self:
        """Trains on texts X and their numbers y; see `BertClassifier.fit`."""
        frame, numbers = _frame(X), _one_dimensional(y).astype(float)
        return self._fit(
            frame, list(map(repr, numbers.tolist())), sample_weight
        )

    def predict(self, X) -> np.ndarray:
        """Returns the number of each text <float>[texts]."""
        return self._answers(X)["score"].to_numpy()


def _one_dimensional(y) -> np.ndarray:
    if y is None:
        raise InputError("requires y to be passed, but the target y is None")
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise InputError(f"y must be one label a text, not {y.shape}")
    return y


def _frame(X) -> pd.DataFrame:
    """Returns texts, or pairs of them, as columns that training finds."""
    if isinstance(X, str):
        raise InputError(f"{_SOURCE} must be several texts, not one string")
    if isinstance(X, pd.DataFrame):
        X = X.to_numpy()
    rows = X.tolist() if hasattr(X, "tolist") else list(X)
    return frames.of_texts(rows, _SOURCE)
