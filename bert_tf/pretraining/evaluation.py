"""Loss, accuracy and perplexity on held-out text."""

import dataclasses
import math
from collections.abc import Callable

import tensorflow as tf

from bert_tf.models import pretrainer as pretrainer_lib
from bert_tf.models.pretrainer import Pretrainer, Results
from bert_tf.pretraining.batches import Batches


@dataclasses.dataclass
class Evaluator:
    """Evaluates a model in memory; pairs and masks are the same each time."""

    pretrainer: Pretrainer
    batches: Batches
    strategy: tf.distribute.Strategy
    _step: Callable | None = dataclasses.field(default=None, init=False)

    def __call__(self) -> dict[str, float]:
        """Returns eval_mlm_loss, eval_perplexity and so on."""
        dataset = self.strategy.experimental_distribute_dataset(
            self.batches.dataset(0)
        )
        if self._step is None:
            self._step = self._build_step(dataset.element_spec)
        sums = [0.0] * 4
        masks = rows = 0.0
        for batch in dataset:
            results, batch_masks, batch_rows = self._step(batch)
            results = Results(*map(float, results))
            batch_masks, batch_rows = float(batch_masks), float(batch_rows)
            counts = (batch_masks, batch_masks, batch_rows, batch_rows)
            values = results[1:5]
            for i, (value, count) in enumerate(
                zip(values, counts, strict=True)
            ):
                sums[i] += value * count
            masks, rows = masks + batch_masks, rows + batch_rows
        metrics = {
            "eval_mlm_loss": sums[0] / max(masks, 1.0),
            "eval_mlm_accuracy": sums[1] / max(masks, 1.0),
        }
        metrics["eval_perplexity"] = math.exp(
            min(metrics["eval_mlm_loss"], 50.0)
        )
        if self.batches.has_pairs:
            metrics["eval_nsp_loss"] = sums[2] / rows
            metrics["eval_nsp_accuracy"] = sums[3] / rows
        return metrics

    def _build_step(self, element_spec):
        def replica_step(batch):
            results = pretrainer_lib.pretraining_results(
                self.pretrainer.weights(),
                batch,
                num_heads=self.pretrainer.backbone.num_heads,
            )
            masks = tf.math.count_nonzero(
                batch["masked_weights"], dtype=tf.float32
            )
            rows = tf.math.count_nonzero(batch["row"] >= 0, dtype=tf.float32)
            return tuple(results), masks, rows

        @tf.function(input_signature=[element_spec], autograph=False)
        def step(batch):
            results = self.strategy.run(replica_step, args=(batch,))
            return tf.nest.map_structure(
                lambda value: self.strategy.reduce(
                    tf.distribute.ReduceOp.SUM, value, axis=None
                ),
                results,
            )

        return step
