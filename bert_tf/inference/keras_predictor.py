"""Predicts with a Keras model under any strategy."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from bert_tf.data import input_pipeline
from bert_tf.data.input_pipeline import EncodedTexts
from bert_tf.tasks import head, pooling
from bert_tf.tasks.base import Task


def _build_predict_step(
    *,
    strategy: tf.distribute.Strategy,
    task: Task,
    model: keras.Model,
    element_spec: dict,
) -> Callable[[dict], dict]:
    """Returns a function of one batch that returns rows and predictions.

    They are those of all replicas, on every worker.
    """

    def replica_step(batch):
        outputs = head.forward(task, model, input_pipeline.features(batch))
        return {"row": batch["row"], "predicted": outputs[task.prediction_key]}

    @tf.function(input_signature=[element_spec], autograph=False)
    def predict_step(batch):
        results = strategy.run(replica_step, args=(batch,))
        if strategy.num_replicas_in_sync == 1:
            return results
        return {
            name: strategy.gather(value, axis=0)
            for name, value in results.items()
        }

    return predict_step


@dataclasses.dataclass
class KerasPredictor:
    """Predicts with a model in memory, its graph built once for all calls."""

    model: keras.Model
    _: dataclasses.KW_ONLY
    task: Task
    strategy: tf.distribute.Strategy
    batch_size: int
    pad_token_id: int
    fixed_length: int | None = None
    _step: Callable | None = dataclasses.field(default=None, init=False)

    def __call__(self, encoded: EncodedTexts) -> np.ndarray:
        """Returns what `Task.metrics` takes, in the order of the texts."""
        batches = self.strategy.experimental_distribute_dataset(
            input_pipeline.build_dataset(
                encoded,
                input_pipeline.plan_evaluation(
                    encoded.lengths, batch_size=self.batch_size
                ),
                batch_size=self.batch_size,
                pad_token_id=self.pad_token_id,
                fixed_length=self.fixed_length,
            )
        )
        if self._step is None:
            self._step = _build_predict_step(
                strategy=self.strategy,
                task=self.task,
                model=self.model,
                element_spec=batches.element_spec,
            )
        results = (self._step(batch) for batch in batches)
        return pooling.collect(
            self.task,
            encoded,
            (
                (result["row"].numpy(), result["predicted"].numpy())
                for result in results
            ),
        )
