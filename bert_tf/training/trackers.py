"""Trackers of trainings: TensorBoard, and MLflow (the extra `mlflow`).

MLflow gets the settings, the figures of each epoch, every number of
metrics.json, plots, the report and the exported model, which it loads as a
pyfunc. Where to is said by its own environment variables.
"""

import contextlib
import importlib.metadata
import numbers
import os
import re
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import pandas as pd
from absl import logging

import bert_tf
from bert_tf import run_dir
from bert_tf.config.training import TrainConfig
from bert_tf.errors import InterruptedTrainingError
from bert_tf.serving import export

# Files of a run that a tracker shows, and plots.
_SHOWN = (
    run_dir.REPORT, run_dir.METRICS, run_dir.TEST_METRICS, run_dir.HISTORY,
    ".png",
)  # fmt: skip
# What the exported model needs where it is loaded.
_REQUIREMENTS = (
    "absl-py", "keras-nlp", "numpy", "pandas", "scikit-learn", "scipy",
    "tensorflow", "tensorflow-text",
)  # fmt: skip


def build_callbacks(
    names: tuple[str, ...], run_path: str
) -> list[keras.callbacks.Callback]:
    """Returns what tells the trackers of each epoch."""
    callbacks = []
    if "tensorboard" in names:
        path = os.path.join(run_path, run_dir.LOGS)
        callbacks.append(keras.callbacks.TensorBoard(path, write_graph=False))
    if "mlflow" in names:
        callbacks.append(_MlflowCallback())
    return callbacks


class _MlflowCallback(keras.callbacks.Callback):
    """Logs the figures of each epoch; the linear probe is epoch 0."""

    def on_epoch_end(self, epoch, logs=None):
        """Logs all of them."""
        import mlflow

        # Those of metrics.json are of the best epoch, not of the last.
        mlflow.log_metrics(_flatten(logs or {}, "epoch/"), step=epoch + 1)


@contextlib.contextmanager
def mlflow_run(config: TrainConfig, *, resuming: bool) -> Iterator[None]:
    """Has MLflow follow the training in the block, and logs what it wrote.

    A run of MLflow that is active already is used and stays so. One that
    was interrupted goes on with the training.
    """
    import mlflow

    folder = config.output_dir
    is_callers = mlflow.active_run() is not None
    if not is_callers:
        path = os.path.join(folder, run_dir.MLFLOW_RUN)
        run_id = None
        if resuming and os.path.exists(path):
            with open(path, encoding="ascii") as file:
                run_id = file.read()
        name = os.path.basename(os.path.abspath(folder))
        run = mlflow.start_run(run_id, run_name=name)
        run_dir.write_text(path, run.info.run_id)
    status = "FAILED"
    try:
        settings = run_dir.read_json(os.path.join(folder, run_dir.CONFIG))
        mlflow.log_params(
            {n: v for n, v in settings.items() if v not in (None, [], "")}
        )
        yield
        _log_results(folder)
        status = "FINISHED"
    except (InterruptedTrainingError, KeyboardInterrupt):
        status = "KILLED"
        raise
    finally:
        if not is_callers:
            mlflow.end_run(status)


def _log_results(folder: str) -> None:
    """Logs the metrics, plots and report of a finished run, and its model."""
    import mlflow

    with warnings.catch_warnings():
        # Of type hints of its own.
        warnings.simplefilter("ignore")
        from mlflow.pyfunc import log_model

    for name, prefix in (
        (run_dir.METRICS, ""),
        (run_dir.TEST_METRICS, "test/"),
    ):
        path = os.path.join(folder, name)
        if os.path.exists(path):
            mlflow.log_metrics(_flatten(run_dir.read_json(path), prefix))
    for name in sorted(os.listdir(folder)):
        if name.endswith(_SHOWN):
            mlflow.log_artifact(os.path.join(folder, name))
    with tempfile.TemporaryDirectory() as models_dir:
        path = export.export(folder, name="model", models_dir=models_dir)
        requested = run_dir.read_json(
            os.path.join(models_dir, "model", "serving", "request.json")
        )
        texts = pd.DataFrame(requested["inputs"])
        model = log_model(
            name="model",
            loader_module="bert_tf.runs",
            data_path=path,
            code_paths=[os.path.dirname(bert_tf.__file__)],
            input_example=texts,
            pip_requirements=[
                f"{name}=={importlib.metadata.version(name)}"
                for name in _REQUIREMENTS
            ],
        )
    logging.info(
        "MLflow has the run; mlflow.pyfunc.load_model(%r) opens its model.",
        model.model_uri,
    )


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Returns the numbers among nested values, by paths that MLflow takes."""
    found = {}
    for name, value in values.items():
        name = prefix + re.sub(r"[^\w. :/-]", "_", str(name))
        if isinstance(value, Mapping):
            found |= _flatten(value, f"{name}/")
        elif isinstance(value, numbers.Real):
            found[name] = float(value)
    return found
