"""Probabilities from a model in memory, under any strategy."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from bert_tf.data import pipeline
from bert_tf.data.pipeline import EncodedTexts
from bert_tf.models.classifier import (
    backbone_of,
    classifier_weights,
    classify,
)


def _build_predict_step(
    *,
    strategy: tf.distribute.Strategy,
    model: keras.Model,
    element_spec: dict,
) -> Callable[[dict], dict]:
    """Returns a function of one batch that returns rows and probabilities.

    They are those of all replicas, on every worker.
    """

    def replica_step(batch):
        outputs = classify(
            classifier_weights(model),
            pipeline.features(batch),
            num_heads=backbone_of(model).num_heads,
        )
        return {
            "row": batch["row"],
            "probabilities": outputs["probabilities"],
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

    return predict_step


class ProbabilityPredictor:
    """Predicts with a model in memory, its graph built once for all calls."""

    def __init__(
        self,
        model: keras.Model,
        *,
        strategy: tf.distribute.Strategy,
        batch_size: int,
        pad_token_id: int,
        fixed_length: int | None = None,
    ):
        self._model = model
        self._strategy = strategy
        self._batch_size = batch_size
        self._pad_token_id = pad_token_id
        self._fixed_length = fixed_length
        self._step = None

    def __call__(self, encoded: EncodedTexts) -> np.ndarray:
        """Returns the probabilities <float32>[rows, classes], in row order."""
        batches = self._strategy.experimental_distribute_dataset(
            pipeline.build_dataset(
                encoded,
                pipeline.plan_evaluation(
                    encoded.lengths, batch_size=self._batch_size
                ),
                batch_size=self._batch_size,
                pad_token_id=self._pad_token_id,
                fixed_length=self._fixed_length,
            )
        )
        if self._step is None:
            self._step = _build_predict_step(
                strategy=self._strategy,
                model=self._model,
                element_spec=batches.element_spec,
            )
        count = len(encoded.lengths)
        probabilities = np.full(
            [count, self._model.output["probabilities"].shape[1]],
            np.nan,
            np.float32,
        )
        for batch in batches:
            results = self._step(batch)
            rows = results["row"].numpy()
            values = results["probabilities"].numpy()
            probabilities[rows[rows >= 0]] = values[rows >= 0]
        return probabilities
