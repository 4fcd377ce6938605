"""The contrastive epoch: vectors of one class come to lie together.

From few labels it teaches a backbone more than a classifier's loss does, since
n texts are n^2 pairs: SetFit (Tunstall et al. 2022, 2209.11055). The loss is
that of Khosla et al. 2020 (2004.11362), over all pairs of a batch.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from bert_tf.tasks.base import Task
from bert_tf.training import train_step

# Batches, as many for few texts as for some hundreds.
STEPS = 100
# Of the learning rate: 5e-5 of a classifier are SetFit's 2e-5.
RATE = 0.4
# Of the linear probe that follows, see `linear_probe.fit_classes`.
PROBE_STRENGTH = 10.0
# Divides the cosines: the smaller, the more the nearest texts count.
_TEMPERATURE = 0.1
_FAR = -1e9


def plan_epoch(
    ids: np.ndarray, *, batch_size: int, steps: int, seed: int
) -> list[np.ndarray]:
    """Returns the row numbers of each batch, each row in a pair of its class.

    Passes over all rows, as many as the steps take. A row that no other of
    its class is left for goes alone.

    Args:
        ids: <int>[rows] classes.
        batch_size: of a batch; the last one of a pass may be shorter.
        steps: batches.
    """
    generator = np.random.default_rng(seed)
    classes = [np.flatnonzero(ids == one) for one in np.unique(ids)]
    plan = []
    while len(plan) < steps:
        pairs = []
        for rows in classes:
            rows = generator.permutation(rows)
            pairs += np.split(rows, range(2, len(rows), 2))
        order = generator.permutation(len(pairs))
        rows = np.concatenate([pairs[i] for i in order])
        plan += np.split(rows, range(batch_size, len(rows), batch_size))
    return plan[:steps]


def build_loss_fn(task: Task, model: keras.Model) -> Callable:
    """Returns the loss that `train_step.build_step` takes."""

    def loss_fn(batch, keys):
        outputs = train_step.forward(task, model, batch, keys)
        losses = contrastive_losses(
            outputs["embedding"], batch["label"], batch["row"] >= 0
        )
        # The head has a gradient, too, of 0: the optimizer is that of all.
        head_loss = 0.0 * tf.reduce_sum(outputs["logits"])
        return tf.reduce_sum(losses * batch["weight"]) + head_loss, 0.0

    return loss_fn


def contrastive_losses(
    vectors: tf.Tensor, ids: tf.Tensor, is_row: tf.Tensor
) -> tf.Tensor:
    """Returns how far each text is from those of its class, among all.

    Args:
        vectors: <float32>[batch, width].
        ids: <int32>[batch], the classes.
        is_row: <bool>[batch], whether it counts.

    Returns:
        <float32>[batch]: the mean over the others of its class of minus the
        logarithm of their share, a softmax of cosines; 0 where there is none.
    """
    vectors = tf.math.l2_normalize(vectors, axis=1)
    cosines = tf.matmul(vectors, vectors, transpose_b=True)
    is_other = is_row & ~tf.eye(tf.shape(ids)[0], dtype=tf.bool)
    shares = tf.nn.log_softmax(tf.where(is_other, cosines / _TEMPERATURE, _FAR))
    is_same = is_other & (ids[:, tf.newaxis] == ids)
    total = tf.reduce_sum(tf.where(is_same, shares, 0.0), axis=1)
    count = tf.reduce_sum(tf.cast(is_same, tf.float32), axis=1)
    return -tf.math.divide_no_nan(total, count)
