"""One training step and one prediction pass for every strategy.

Keras' `fit` fails under several strategies (FINDINGS: bool masks, nested
inputs), so the loop is our own, over `strategy.run`; the optimizer, the layers
and the loss are Keras'.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from bert_tf.data import pipeline
from bert_tf.data.pipeline import EncodedTexts
from bert_tf.models.classifier import classification_loss

_FEATURES = ("token_ids", "segment_ids", "padding_mask")


def build_train_step(
    *,
    strategy: tf.distribute.Strategy,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
) -> Callable[[dict], tuple[tf.Tensor, tf.Tensor]]:
    """Returns a function of one batch that trains and returns (loss, hits).

    The weights of a global batch add up to 1, so the loss of a replica is a
    plain sum and the replicas' sums add up to the loss of one device. `hits`
    is the number of examples whose likeliest class is the right one.
    """
    variables = model.trainable_variables
    replicas = strategy.num_replicas_in_sync
    apply_gradients = optimizer.apply
    if replicas == 1 and not isinstance(
        optimizer, keras.optimizers.LossScaleOptimizer
    ):
        # Compiled by XLA, AdamW's many small operations take a tenth of the
        # time (DESIGN.md, section 8). XLA takes no sparse gradients.
        compiled = tf.function(optimizer.apply, jit_compile=True)

        def apply_gradients(gradients):
            compiled([tf.convert_to_tensor(g) for g in gradients])

    def replica_step(batch):
        with tf.GradientTape() as tape:
            outputs = model(_features(batch), training=True)
            losses = classification_loss(batch["label"], outputs["logits"])
            loss = tf.reduce_sum(losses * batch["weight"])
            scaled_loss = optimizer.scale_loss(loss)
        gradients = tape.gradient(
            scaled_loss, [variable.value for variable in variables]
        )
        if replicas > 1:
            # Before the optimizer, since Keras clips what one replica has
            # where the norm of the whole gradient is meant.
            gradients = [
                gradient / replicas
                for gradient in tf.distribute.get_replica_context().all_reduce(
                    tf.distribute.ReduceOp.SUM,
                    [tf.convert_to_tensor(g) for g in gradients],
                )
            ]
        apply_gradients(gradients)
        predicted = tf.argmax(outputs["logits"], axis=1, output_type=tf.int32)
        hits = (predicted == batch["label"]) & (batch["row"] >= 0)
        return loss, tf.reduce_sum(tf.cast(hits, tf.float32))

    @tf.function(reduce_retracing=True)
    def train_step(batch):
        results = strategy.run(replica_step, args=(batch,))
        return tuple(
            strategy.reduce(tf.distribute.ReduceOp.SUM, result, axis=None)
            for result in results
        )

    return train_step


def build_predict_step(
    *, strategy: tf.distribute.Strategy, model: keras.Model
) -> Callable[[dict], dict]:
    """Returns a function of one batch that returns rows and probabilities.

    Its results are per replica where there are several.
    """

    def replica_step(batch):
        outputs = model(_features(batch), training=False)
        return {
            "row": batch["row"],
            "probabilities": tf.cast(outputs["probabilities"], tf.float32),
        }

    @tf.function(reduce_retracing=True)
    def predict_step(batch):
        return strategy.run(replica_step, args=(batch,))

    return predict_step


def predict_probabilities(
    predict_step: Callable[[dict], dict],
    encoded: EncodedTexts,
    *,
    strategy: tf.distribute.Strategy,
    batch_size: int,
    pad_token_id: int,
) -> np.ndarray:
    """Returns the probabilities <float32>[rows, classes], in row order."""
    plan = pipeline.plan_evaluation(encoded.lengths, batch_size=batch_size)
    dataset = pipeline.build_dataset(
        encoded, plan, batch_size=batch_size, pad_token_id=pad_token_id
    )
    probabilities = None
    for batch in strategy.experimental_distribute_dataset(dataset):
        results = predict_step(batch)
        local = {
            key: strategy.experimental_local_results(value)
            for key, value in results.items()
        }
        for rows, values in zip(
            local["row"], local["probabilities"], strict=True
        ):
            rows, values = rows.numpy(), values.numpy()
            if probabilities is None:
                shape = [len(encoded.lengths), values.shape[1]]
                probabilities = np.full(shape, np.nan, np.float32)
            probabilities[rows[rows >= 0]] = values[rows >= 0]
    return probabilities


def _features(batch: dict) -> dict:
    return {name: batch[name] for name in _FEATURES}
