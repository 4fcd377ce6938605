"""The training step, for every strategy.

Keras' `fit` fails under several strategies (on bool masks and nested inputs),
so the loop is our own, over `strategy.run`; the optimizer, the layers
and the loss are Keras'.
"""

from collections.abc import Callable

import keras
import tensorflow as tf
from absl import logging

from bert_tf.data.input_pipeline import features
from bert_tf.models import classifier
from bert_tf.models.dropout import dropout_keys
from bert_tf.tasks import head
from bert_tf.tasks.base import Task


def forward(
    task: Task,
    model: keras.Model,
    batch: dict,
    keys: tf.Tensor,
    *,
    skip_padding: bool = False,
) -> dict[str, tf.Tensor]:
    """Returns the model's outputs for a batch, under dropout of these keys."""
    return head.forward(
        task,
        model,
        features(batch),
        dropouts=classifier.dropouts(model, keys),
        skip_padding=skip_padding,
    )


class TrainSteps:
    """Functions that take some steps of one kind, each built once.

    Args:
        build_train_step: from the batches' element_spec to a step, see below.
    """

    def __init__(self, build_train_step: Callable[..., Callable]):
        self._build = build_train_step
        self._one: Callable | None = None
        self._some: dict[int, Callable] = {}

    def build(self, count: int, element_spec: dict) -> Callable:
        """Returns a function of an iterator that trains on its next batches.

        It returns the sums of their losses and of num_correct.
        """
        if self._one is None:
            logging.info("Tracing the training step.")
            self._one = self._build(element_spec=element_spec)
        if count not in self._some:
            self._some[count] = _repeated(self._one, count)
        return self._some[count]


def _repeated(train_step: Callable, count: int) -> Callable:
    """Returns a function of an iterator for `count` steps.

    One call from Python for all: on TPUs, and wherever a step is short, the
    calls would cost more than they do.
    """
    if count == 1:
        return lambda iterator: train_step(next(iterator))

    @tf.function(autograph=False)
    def train_steps(iterator):
        _, sums = tf.while_loop(
            lambda number, _: number < count,
            lambda number, sums: (
                number + 1,
                tf.nest.map_structure(tf.add, sums, train_step(next(iterator))),
            ),
            (0, (0.0, 0.0)),
            parallel_iterations=1,
        )
        return sums

    return train_steps


def build_train_step(
    *,
    strategy: tf.distribute.Strategy,
    task: Task,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    element_spec: dict,
    seed: int,
    accumulate_steps: int = 1,
    jit_compile: bool = False,
    loss_fn: Callable | None = None,
) -> Callable[[dict], tuple[tf.Tensor, tf.Tensor]]:
    """Returns a function of one batch: trains, returns loss and num_correct.

    The weights of a global batch add up to 1, so the loss of a replica is a
    plain sum and the replicas' sums add up to the loss of one device.
    `num_correct` is how many examples are right, as the task counts them.

    With `jit_compile` XLA compiles the whole step of a replica.

    With `accumulate_steps` a replica works through its rows in so many pieces
    one after the other and adds up their gradients: less memory, same result.

    `loss_fn` takes the place of the task's loss, see `build_step`.
    """

    def task_loss(batch, keys):
        logits = forward(task, model, batch, keys)["logits"]
        losses = task.loss(batch["label"], logits)
        num_correct = task.num_correct(batch["label"], logits)
        num_correct *= tf.cast(batch["row"] >= 0, tf.float32)
        return tf.reduce_sum(losses * batch["weight"]), tf.reduce_sum(
            num_correct
        )

    return build_step(
        loss_fn or task_loss,
        results=2,
        strategy=strategy,
        variables=model.trainable_variables,
        optimizer=optimizer,
        element_spec=element_spec,
        seed=seed,
        accumulate_steps=accumulate_steps,
        jit_compile=jit_compile,
    )


def build_step(
    loss_fn: Callable[[dict, tf.Tensor], tuple[tf.Tensor, ...]],
    *,
    results: int,
    strategy: tf.distribute.Strategy,
    variables: list[keras.Variable],
    optimizer: keras.optimizers.Optimizer,
    element_spec: dict,
    seed: int,
    accumulate_steps: int = 1,
    jit_compile: bool = False,
) -> Callable[[dict], tuple[tf.Tensor, ...]]:
    """Returns a function of one batch that trains whatever has a loss.

    Args:
        loss_fn: takes a batch, with `row` <int32>[batch], and the keys of its
            dropout <uint32>[batch]; returns the loss and other sums, of which
            the replicas' add up, <float32>[] each.
        results: how many `loss_fn` returns, and the step.
    """
    replicas = strategy.num_replicas_in_sync

    def loss_and_gradients(batch):
        """Returns what `loss_fn` does and the scaled loss's gradients."""
        with tf.GradientTape() as tape:
            keys = dropout_keys(seed, optimizer.iterations.value, batch["row"])
            sums = tuple(loss_fn(batch, keys))
            scaled_loss = optimizer.scale_loss(sums[0])
        gradients = tape.gradient(
            scaled_loss, [variable.value for variable in variables]
        )
        return sums, [tf.convert_to_tensor(gradient) for gradient in gradients]

    def accumulated_results(batch):
        # Under several workers the shape is not known while tracing.
        rows = batch["row"].shape[0] or tf.shape(batch["row"])[0]
        rows //= accumulate_steps
        pieces = {
            name: tf.reshape(
                value,
                tf.concat([[accumulate_steps, rows], tf.shape(value)[1:]], 0),
            )
            for name, value in batch.items()
        }

        def add_piece(number, sums, gradients):
            piece = {name: value[number] for name, value in pieces.items()}
            return number + 1, *tf.nest.map_structure(
                tf.add, (sums, gradients), loss_and_gradients(piece)
            )

        zeros = [tf.zeros(variable.shape) for variable in variables]
        _, sums, gradients = tf.while_loop(
            lambda number, *_: number < accumulate_steps,
            add_piece,
            (0, (0.0,) * results, zeros),
            parallel_iterations=1,
            maximum_iterations=accumulate_steps,
        )
        return sums, gradients

    def replica_step(batch):
        if accumulate_steps == 1:
            sums, gradients = loss_and_gradients(batch)
        else:
            sums, gradients = accumulated_results(batch)
        if replicas > 1:
            # Before the optimizer, since Keras clips what one replica has
            # where the norm of the whole gradient is meant.
            gradients = [
                gradient / replicas
                for gradient in tf.distribute.get_replica_context().all_reduce(
                    tf.distribute.ReduceOp.SUM, gradients
                )
            ]
        optimizer.apply(gradients)
        return sums

    if jit_compile:
        replica_step = tf.function(
            replica_step, jit_compile=True, autograph=False
        )

    # With the signature, batches of any length share one graph.
    @tf.function(input_signature=[element_spec], autograph=False)
    def train_step(batch):
        sums = strategy.run(replica_step, args=(batch,))
        return tuple(
            strategy.reduce(tf.distribute.ReduceOp.SUM, result, axis=None)
            for result in sums
        )

    return train_step
