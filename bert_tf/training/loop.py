"""One training step for every strategy.

Keras' `fit` fails under several strategies (FINDINGS: bool masks, nested
inputs), so the loop is our own, over `strategy.run`; the optimizer, the layers
and the loss are Keras'.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from bert_tf.data.pipeline import features
from bert_tf.models.classifier import classification_loss


def build_train_step(
    *,
    strategy: tf.distribute.Strategy,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    element_spec: dict,
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
        compiled = tf.function(
            optimizer.apply, jit_compile=True, autograph=False
        )

        def apply_gradients(gradients):
            compiled([tf.convert_to_tensor(g) for g in gradients])

    def replica_step(batch):
        with tf.GradientTape() as tape:
            outputs = model(features(batch), training=True)
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

    # With the signature, batches of any length share one graph.
    @tf.function(input_signature=[element_spec], autograph=False)
    def train_step(batch):
        results = strategy.run(replica_step, args=(batch,))
        return tuple(
            strategy.reduce(tf.distribute.ReduceOp.SUM, result, axis=None)
            for result in results
        )

    return train_step
