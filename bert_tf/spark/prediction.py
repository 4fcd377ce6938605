"""Answers the texts of a Spark table with a SavedModel."""

import atexit
import dataclasses
import functools
import os
import shutil
import tarfile
import tempfile
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pandas as pd
from absl import logging
from pyspark import SparkFiles, TaskContext
from pyspark.sql import Column, Observation, SparkSession, functions
from pyspark.sql.types import (
    DoubleType,
    LongType,
    StringType,
    StructField,
    StructType,
)

from bert_tf import quiet
from bert_tf.errors import InputError
from bert_tf.inference import model_files
from bert_tf.spark import session as session_lib
from bert_tf.spark import tables
from bert_tf.spark.tables import SparkTable

if TYPE_CHECKING:
    from bert_tf.tasks.base import Task

# TensorFlow is imported quietly, in functions: Spark's Python processes import
# this file, too.
_TYPES = {str: StringType, float: DoubleType, int: LongType}
# Small enough that all cores end at about the same time.
_TASKS_PER_CORE = 4


def predict_udf(model: str, *, batch_size: int = 64) -> Callable[..., Column]:
    """Returns a function of a text column, or of two, that answers them.

        answer = bert_tf.spark.predict_udf("saved_models/tweets")
        frame.withColumn("answer", answer("text")).select("*", "answer.*")

    Its column is a struct with the columns of predictions.csv. A task loads
    the model once in its Python process, which later tasks use again, and
    answers with as many threads as `spark.task.cpus` says. bert_tf must be
    installed where the tasks run; the model is shipped with the job.

    Args:
        model: saved_models/NAME (its newest version) or
            saved_models/NAME/VERSION, on the driver's disk.
        batch_size: texts that are answered at once.

    Raises:
        InputError: there is no SavedModel of this project, or no session.
    """
    spark = SparkSession.getActiveSession()
    if spark is None:
        raise InputError("predict_udf needs a SparkSession; start one first")
    info = model_files.read_info(model)
    if not os.path.exists(os.path.join(info.path, model_files.SAVED_MODEL)):
        raise InputError(
            f"{model} is not a SavedModel; pipelines.export writes one"
        )
    with quiet.imports():
        from bert_tf.tasks import registry
    task = registry.build_task(info.task, info.class_names, info.parameters)
    shipped = None if session_lib.is_local(spark) else _ship(spark, info.path)
    path = os.path.abspath(info.path)

    @functions.pandas_udf(answer_type(task))
    def answer(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        predictor = _load(
            SparkFiles.get(shipped) if shipped else path,
            TaskContext.get().cpus(),
        )
        for frame in frames:
            yield _answer(predictor, frame, batch_size)

    def of_columns(*columns: str | Column) -> Column:
        return answer(
            functions.struct(
                *(
                    (functions.col(one) if isinstance(one, str) else one).alias(
                        str(i)
                    )
                    for i, one in enumerate(columns)
                )
            )
        )

    return of_columns


def answer_type(task: "Task") -> StructType:
    """Returns the columns of predictions.csv as Spark's types."""
    from bert_tf.tasks import answers

    return StructType(
        [
            StructField(name, _TYPES[kind]())
            for name, kind in answers.cell_types(task).items()
        ]
    )


@dataclasses.dataclass(frozen=True)
class Counts:
    """How many rows were answered, and how many could not be read."""

    answered: int
    bad: int


def batch_predict(
    table: SparkTable,
    answer: Callable[..., Column],
    output: str,
    *,
    form: str = "parquet",
    bad_rows: str | None = None,
) -> Counts:
    """Writes id, texts and answer of each row that can be read.

    Args:
        table: see `tables.read`.
        answer: see `predict_udf`.
        output: the folder, new; where all executors write.
        form: parquet, csv or jsonl.
        bad_rows: where rows that cannot be read go, as JSON lines with the
            file; by default `output` with _bad_rows. It appears if there are
            any.
    """
    observation = Observation()
    frame = table.frame.observe(
        observation,
        functions.count(functions.lit(1)).alias("rows"),
        functions.count(tables.BAD_ROW).alias("bad"),
    ).where(functions.col(tables.BAD_ROW).isNull())
    tasks = _TASKS_PER_CORE * frame.sparkSession.sparkContext.defaultParallelism
    if table.frame.rdd.getNumPartitions() < tasks:
        frame = frame.repartition(tasks)
    answered = frame.withColumn("answer", answer(*table.texts)).select(
        tables.ID, *table.texts, "answer.*"
    )
    tables.write(answered, output, form)
    counts = observation.get
    if counts["bad"]:
        bad_rows = bad_rows or f"{output.rstrip('/')}_bad_rows"
        tables.write(
            table.frame.where(functions.col(tables.BAD_ROW).isNotNull()).select(
                functions.input_file_name().alias("file"),
                tables.ID,
                tables.BAD_ROW,
            ),
            bad_rows,
            "jsonl",
        )
        logging.warning(
            "%d of %d rows cannot be read, as they have too few or too many "
            "fields or are no JSON; they are in %s.",
            counts["bad"],
            counts["rows"],
            bad_rows,
        )
    return Counts(counts["rows"] - counts["bad"], counts["bad"])


# A Python process of Spark's answers many tasks, one after the other.
@functools.lru_cache(maxsize=1)
def _load(path: str, threads: int):
    with quiet.imports():
        from bert_tf.inference.saved_model_predictor import SavedModelPredictor
    return SavedModelPredictor(path, threads=threads)


def _answer(predictor, frame: pd.DataFrame, batch_size: int) -> pd.DataFrame:
    from bert_tf.tasks import answers

    segments = tuple(list(frame[name].fillna("")) for name in frame.columns)
    if len(segments) != 1 + predictor.has_pairs:
        raise InputError(
            f"the model takes {1 + predictor.has_pairs} texts per row, and "
            f"{len(segments)} are given"
        )
    rows = predictor.predict_rows(segments, batch_size=batch_size)
    return answers.answer_table(predictor.task, rows)


def _ship(spark: SparkSession, path: str) -> str:
    """Sends a folder to every executor; returns the name that it has there."""
    name = f"model-{uuid.uuid4().hex[:8]}"
    # The driver serves the file for as long as the job lasts.
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    archive = os.path.join(folder, f"{name}.tar")
    # Without compression, which takes seconds for weights.
    with tarfile.open(archive, "w") as file:
        for entry in os.listdir(path):
            file.add(os.path.join(path, entry), entry)
    spark.sparkContext.addArchive(f"{archive}#{name}")
    return name
