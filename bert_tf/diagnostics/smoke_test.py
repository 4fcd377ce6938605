"""Trains a tiny BERT for one step and prints a JSON report.

`pipelines.doctor` runs it: python -m bert_tf.diagnostics.smoke_test.
"""

import json
import sys
import time

import keras
import keras_nlp
import numpy as np
import tensorflow as tf

# Registers the tokenizer's operations, or fails where it does not fit.
import tensorflow_text  # noqa: F401

# There is no public name for whether oneDNN is on.
from tensorflow.python.util import _pywrap_util_port

from bert_tf.data import input_pipeline
from bert_tf.data.input_pipeline import EncodedTexts
from bert_tf.tasks import head
from bert_tf.tasks.classification import Classification
from bert_tf.training import optimizer as optimizer_lib
from bert_tf.training import train_step

_ROWS = 8
_LENGTH = 6
_WORDS = 20


def train_one_step() -> dict:
    """Returns the loss before and after a step, the seconds and the devices."""
    start = time.monotonic()
    keras.utils.set_random_seed(1)
    labels = np.arange(_ROWS, dtype=np.int32) % 2
    # The first token gives the class away.
    ids = np.tile(np.arange(_LENGTH, dtype=np.int32) + 2, (_ROWS, 1))
    ids[:, 0] = labels + _WORDS - 2
    encoded = EncodedTexts(
        token_ids=ids.ravel(),
        row_splits=np.arange(_ROWS + 1) * _LENGTH,
        first_lengths=np.full(_ROWS, _LENGTH, np.int32),
        token_counts=np.full(_ROWS, _LENGTH, np.int32),
    )
    backbone = keras_nlp.models.BertBackbone(
        vocabulary_size=_WORDS,
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=32,
        max_sequence_length=_LENGTH,
        dropout=0.0,
    )
    task = Classification(("even", "odd"))
    model = head.build_model(task, backbone, dropout=0.0)
    model.optimizer = optimizer_lib.build_optimizer(
        variables=model.trainable_variables,
        learning_rate=1e-2,
        weight_decay=0.0,
        mixed_precision="float32",
        num_replicas=1,
    )
    dataset = input_pipeline.build_dataset(
        encoded,
        [np.arange(_ROWS)],
        batch_size=_ROWS,
        pad_token_id=0,
        labels=labels,
    )
    step = train_step.build_train_step(
        strategy=tf.distribute.get_strategy(),
        task=task,
        model=model,
        optimizer=model.optimizer,
        element_spec=dataset.element_spec,
        seed=0,
    )
    (batch,) = dataset
    losses = [float(step(batch)[0]) for _ in range(2)]
    return {
        "loss_before": losses[0],
        "loss_after": losses[1],
        "seconds": time.monotonic() - start,
        "devices": [
            device.name.removeprefix("/physical_device:")
            for device in tf.config.list_physical_devices()
        ],
        "onednn": _pywrap_util_port.IsMklEnabled(),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(train_one_step()) + "\n")
