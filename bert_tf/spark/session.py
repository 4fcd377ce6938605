"""Starts Spark, and tells of its faults."""

import contextlib
import logging as python_logging
import os
import re
import shutil
import sys
import warnings
from collections.abc import Iterator, Mapping

from absl import logging

from bert_tf.errors import (
    InputError,
    InstallationError,
    ServerError,
    check_installed,
)

_TASK_CPUS, _EXECUTOR_CORES = "spark.task.cpus", "spark.executor.cores"
# What Python processes are given at a time: `pipelines.predict` sorts so many
# by length.
_ROWS_AT_A_TIME = 1024
# The variable of a process that spark-submit started.
_SUBMITTED = "PYSPARK_GATEWAY_PORT"
_DEFAULTS = {
    "spark.sql.execution.arrow.maxRecordsPerBatch": str(_ROWS_AT_A_TIME),
    # Classes may be called "a" and "A".
    "spark.sql.caseSensitive": "true",
}
# A line of a stack trace that names a cause; and those that only wrap one.
_CAUSE = re.compile(r"(?:Caused by: |: )?([\w.$]+(?:Error|Exception)): .")
_WRAPPERS = ("SparkException", "PythonException", "Py4JJavaError")
_LOCAL = re.compile(r"local(\[(\d+|\*)(,\s*\d+)?\])?")


@contextlib.contextmanager
def session(
    name: str,
    *,
    master: str | None,
    settings: Mapping[str, str],
    whole_executors: bool = False,
) -> Iterator:
    """Gives a SparkSession, and stops it.

    Args:
        name: what Spark shows.
        master: such as local[4] or spark://host:7077; None for what
            spark-submit says, else all cores of this machine.
        settings: Spark's own, by name; they come before the defaults here.
        whole_executors: give a task all cores of its executor, so that one
            Python process, with one model, uses them; what spark-submit was
            told is left to it.

    Raises:
        InstallationError: there is no pyspark or no Java.
        ServerError: Spark cannot start, or gives up.
    """
    check_installed("pyspark", "--master")
    if not os.environ.get("JAVA_HOME") and shutil.which("java") is None:
        raise InstallationError(
            "Spark needs Java 17 or newer, and there is no java here: install "
            "one (Debian: apt-get install openjdk-17-jre-headless) or set "
            "JAVA_HOME"
        )
    # It works, as the tests show.
    warnings.filterwarnings("ignore", message="PySpark does not yet fully")
    # Which tells of every connection that it closes.
    python_logging.getLogger("py4j").setLevel(python_logging.WARNING)
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    # Of one environment with this process; a cluster of others is told by
    # spark.pyspark.python or this variable.
    if "spark.pyspark.python" not in settings:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    chosen = {**_DEFAULTS, **settings}
    if master is None and _SUBMITTED not in os.environ:
        master = "local[*]"
    cores = _local_cores(master) or chosen.get(_EXECUTOR_CORES)
    if whole_executors and cores:
        chosen.setdefault(_TASK_CPUS, str(cores))
    builder = SparkSession.builder.appName(name)
    if master is not None:
        builder = builder.master(master)
    try:
        spark = builder.config(map=chosen).getOrCreate()
    except (PySparkException, Py4JError) as error:
        raise ServerError(
            f"Spark does not start at {master}: {_reason(error)}. Does a "
            "master of this version answer there?"
        ) from error
    spark.sparkContext.setLogLevel("ERROR")
    logging.info(
        "Spark %s at %s, %s cores a task",
        spark.version,
        spark.sparkContext.master,
        spark.sparkContext.getConf().get(_TASK_CPUS, "1"),
    )
    try:
        yield spark
    except (PySparkException, Py4JError) as error:
        raise fault(error) from error
    finally:
        spark.stop()


def is_local(spark) -> bool:
    """Whether tasks run on this machine alone."""
    return _LOCAL.fullmatch(spark.sparkContext.master) is not None


def _local_cores(master: str | None) -> int | None:
    """Returns how many cores a master on this machine has."""
    found = _LOCAL.fullmatch(master or "")
    if found is None:
        return None
    count = found[2] or "1"
    return os.cpu_count() if count == "*" else int(count)


def fault(error: Exception) -> Exception:
    """Returns an error of ours for one that Spark passes on."""
    reason = _reason(error)
    for kind in (InputError, InstallationError):
        if reason.startswith(f"{kind.__module__}.{kind.__name__}: "):
            return kind(reason.partition(": ")[2])
    return ServerError(f"Spark gives up: {reason}")


def _reason(error: Exception) -> str:
    """Returns the line that says most, of a hundred of Java's and Python's."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    for line in lines:
        found = _CAUSE.match(line)
        if found and not found[1].endswith(_WRAPPERS):
            return line[found.start(1) :]
    return lines[0] if lines else type(error).__name__
