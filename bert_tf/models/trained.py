"""A finished run's model, rebuilt from its run folder alone."""

import dataclasses
import os

import keras
import numpy as np

from bert_tf import labels as labels_lib
from bert_tf import run_dir
from bert_tf.config import TrainConfig
from bert_tf.models import backbones, temperature
from bert_tf.tasks import head, known
from bert_tf.tasks.task import Task
from bert_tf.text import vocabulary
from bert_tf.text.preprocessing import Preprocessor


@dataclasses.dataclass(frozen=True)
class Trained:
    """Everything that turns a text into an answer."""

    config: TrainConfig
    task: Task
    preprocessor: Preprocessor
    model: keras.Model

    @property
    def class_names(self) -> tuple[str, ...]:
        """The task's."""
        return self.task.class_names

    @property
    def has_pairs(self) -> bool:
        """Whether an example is two texts."""
        return self.config.text_pair_column is not None


def load(path: str) -> Trained:
    """Builds the model of a run and reads its best weights.

    Raises:
        InputError: `path` holds no finished run.
    """
    run_dir.check_is_run(path)
    config = TrainConfig.from_json(
        run_dir.read_json(os.path.join(path, run_dir.CONFIG))
    )
    class_names = labels_lib.read_labels(os.path.join(path, run_dir.LABELS))
    backbone = backbones.from_config(
        os.path.join(path, run_dir.BACKBONE), dtype=config.dtype_policy
    )
    task = known.read_task(path, class_names, name=config.task)
    model = head.build_model(
        task,
        backbone,
        dropout=config.dropout,
        freeze_backbone=config.freeze_backbone,
    )
    model.load_weights(os.path.join(path, run_dir.WEIGHTS))
    calibrated = temperature.read_temperature(path)
    if calibrated != 1.0:
        temperature.apply_temperature(model, calibrated)
    preprocessor = Preprocessor(
        vocabulary.read_vocabulary(path),
        sequence_length=config.max_seq_length,
        long_text=config.long_text,
    )
    return Trained(config, task, preprocessor, model)


def count_parameters(model: keras.Model) -> int:
    """Returns the number of weights."""
    return int(sum(np.prod(variable.shape) for variable in model.variables))
