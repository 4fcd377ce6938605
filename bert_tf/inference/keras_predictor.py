"""Predicts with a Keras model under any strategy."""

import dataclasses
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from bert_tf.data import input_pipeline
from bert_tf.data.input_pipeline import EncodedTexts
from bert_tf.models import classifier
from bert_tf.tasks import head, pooling
from bert_tf.tasks.base import Task


def _build_predict_step(
    *,
    strategy: tf.distribute.Strategy,
    task: Task,
    model: keras.Model,
    element_spec: dict,
) -> Callable[[dict], dict]:
    """Returns a function of one batch: rows, predictions, and vectors if any.

    They are those of all replicas, on every worker.
    """
    wanted = task.prediction_key, "embedding"

    def replica_step(batch):
        outputs = head.forward(task, model, input_pipeline.features(batch))
        return {
            "row": batch["row"],
            **{name: outputs[name] for name in outputs if name in wanted},
        }

    @tf.function(input_signature=[element_spec], autograph=False)
    def predict_step(batch):
        results = strategy.run(replica_step, args=(batch,))
        if strategy.num_replicas_in_sync == 1:
            return results
        return {
            name: strategy.gather(value, axis=0)
            for name, value in results.items()
        }

    # Traced once: a tf.function would warn of those of other models.
    return predict_step.get_concrete_function()


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
        return pooling.collect(
            self.task,
            encoded,
            self._run(
                encoded,
                np.arange(len(encoded.lengths)),
                output=self.task.prediction_key,
            ),
        )

    def embed(self, encoded: EncodedTexts, rows: np.ndarray) -> np.ndarray:
        """Returns what the head is on <float32>[rows, width].

        Args:
            rows: which of the texts, or of their windows, rising <int>[rows].
        """
        width = classifier.backbone_of(self.model).hidden_dim
        embeddings = np.zeros([len(rows), width], np.float32)
        for found, values in self._run(encoded, rows, output="embedding"):
            places = np.searchsorted(rows, found[found >= 0])
            embeddings[places] = values[found >= 0]
        return embeddings

    def _run(
        self, encoded: EncodedTexts, rows: np.ndarray, *, output: str
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields rows, -1 where there is none, and an output of batches."""
        plan = input_pipeline.plan_evaluation(
            encoded.lengths[rows], batch_size=self.batch_size
        )
        batches = self.strategy.experimental_distribute_dataset(
            input_pipeline.build_dataset(
                encoded,
                [rows[batch] for batch in plan],
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
        for batch in batches:
            result = self._step(batch)
            yield result["row"].numpy(), result[output].numpy()
