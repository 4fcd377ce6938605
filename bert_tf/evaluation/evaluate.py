"""Evaluates a loaded model on labelled examples."""

import dataclasses
import os
import time

import numpy as np
import pandas as pd

from bert_tf import labels as labels_lib
from bert_tf import run_dir
from bert_tf.data.examples import segments as segments_of
from bert_tf.data.input_pipeline import EncodedTexts
from bert_tf.errors import InputError
from bert_tf.evaluation import baseline as baseline_lib
from bert_tf.evaluation import metric_intervals
from bert_tf.evaluation.baseline import Baseline
from bert_tf.tasks.answers import LoadedModel
from bert_tf.tasks.base import Task, timed_metrics


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The predictions of labelled rows, and how good they are.

    Attributes:
        title: what was evaluated, e.g. "the test split".
        model_path: the run folder, or the SavedModel's version.
        task: the model's.
        examples: the labelled rows.
        encoded: their tokens.
        predictions: what `Task.metrics` takes.
        metrics: what metrics.json holds.
        max_seq_length: where texts are cut, in tokens; None if unknown.
        suffix: of the names of its files, before their extension.
        order: of the rows in predictions.csv <int>[rows]; None as they stand.
    """

    title: str
    model_path: str
    task: Task
    examples: pd.DataFrame
    encoded: EncodedTexts
    predictions: np.ndarray
    metrics: dict
    max_seq_length: int | None = None
    suffix: str = ""
    order: np.ndarray | None = None

    @property
    def class_names(self) -> list[str]:
        """Of a classification, one per column of the predictions."""
        return self.metrics["labels"]

    @property
    def labels(self) -> np.ndarray:
        """Of a classification, the class ids <int>[rows]."""
        return np.array(
            labels_lib.class_ids(self.examples["label"], self.class_names)
        )

    @property
    def positive(self) -> int | None:
        """The id of the positive class of two; None of more."""
        name = self.metrics.get("positive_class")
        return None if name is None else self.class_names.index(name)

    def positive_scores(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns which rows are of the positive class, and their scores."""
        positive = self.positive
        return self.labels == positive, self.predictions[:, positive]

    def complete(
        self, baseline: Baseline | None, probe: np.ndarray | None = None
    ) -> "Evaluation":
        """Returns it with `complete_metrics`."""
        metrics = metric_intervals.complete_metrics(
            self.task,
            self.metrics,
            self.examples,
            self.encoded,
            self.predictions,
            baseline,
            probe,
        )
        return dataclasses.replace(self, metrics=metrics)


def evaluate(model: LoadedModel, examples: pd.DataFrame) -> Evaluation:
    """Asks a model the texts of labelled rows and compares the answers.

    Args:
        model: a run folder or an exported SavedModel.

    Raises:
        InputError: the model takes pairs and the rows have none, or the other
            way round.
    """
    segments = segments_of(examples)
    if model.has_pairs != (len(segments) == 2):
        wanted, given = "two texts", "one text"
        if not model.has_pairs:
            wanted, given = given, wanted
        raise InputError(
            f"{model.path} takes {wanted} an example, but "
            f"{_describe_files(examples)} gives {given}; see --text_column and "
            "--text_pair_column"
        )
    start = time.monotonic()
    encoded = model.encode(segments)
    predictions = model.predict_encoded(encoded)
    metrics = timed_metrics(
        model.task,
        examples,
        encoded,
        predictions,
        seconds=time.monotonic() - start,
    )
    path = os.path.join(model.path, run_dir.BASELINE)
    has_baseline = model.is_run and os.path.exists(path)
    return Evaluation(
        title=_describe_files(examples),
        model_path=model.path,
        task=model.task,
        examples=examples,
        encoded=encoded,
        predictions=predictions,
        metrics={"schema_version": 1, **metrics},
        max_seq_length=model.max_seq_length,
    ).complete(baseline_lib.read(path) if has_baseline else None)


def _describe_files(split: pd.DataFrame) -> str:
    """Returns the names of the files that rows come from."""
    names = [os.path.basename(str(path)) for path in split["path"].unique()]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
