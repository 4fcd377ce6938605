"""The contrastive epoch: vectors of one class come to lie together.

From few labels it teaches a backbone more than a classifier's loss does, since
n texts are n^2 pairs: SetFit (Tunstall et al. 2022, 2209.11055). The loss is
that of Khosla et al. 2020 (2004.11362), over all pairs of a batch, those of two
replicas too.
"""

import math
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from bert_tf.tasks.base import Task
from bert_tf.training import train_step

# Of an epoch (docs/defaults.md).
_FEWEST_STEPS, _MOST_STEPS = 30, 100
# Of the linear probe that follows, see `linear_probe.fit_classes`.
PROBE_STRENGTH = 10.0
# Divides the cosines: the smaller, the more the nearest texts count.
_TEMPERATURE = 0.1
_FAR = -1e9

# Of some texts: vectors of length 1 <float32>[batch, width], classes
# <int32>[batch], and row numbers <int32>[batch], below 0 where there is none.
Texts = tuple[tf.Tensor, tf.Tensor, tf.Tensor]


def num_steps(rows: int, num_classes: int, batch_size: int) -> int:
    """Returns the batches of the epoch.

    A pass over the rows, or two batches a class, within bounds.
    """
    steps = max(math.ceil(rows / batch_size), 2 * num_classes)
    return min(max(steps, _FEWEST_STEPS), _MOST_STEPS)


def plan_epoch(
    ids: np.ndarray, *, batch_size: int, steps: int, seed: int
) -> np.ndarray:
    """Returns the row numbers of each batch, each row in a pair of its class.

    Passes over all rows, one after the other: all batches are full. A row that
    no other of its class is left for goes alone.

    Args:
        ids: <int>[rows] classes.
        batch_size: of every batch.
        steps: batches.

    Returns:
        <int>[steps, batch_size]; with the end of a pass and the start of the
        next a batch may hold a row twice.
    """
    generator = np.random.default_rng(seed)
    classes = [np.flatnonzero(ids == one) for one in np.unique(ids)]
    passes = []
    for _ in range(math.ceil(steps * batch_size / len(ids))):
        pairs = []
        for rows in classes:
            rows = generator.permutation(rows)
            pairs += np.split(rows, range(2, len(rows), 2))
        passes += [pairs[i] for i in generator.permutation(len(pairs))]
    rows = np.concatenate(passes)[: steps * batch_size]
    return rows.reshape([steps, batch_size])


def build_loss_fn(
    task: Task, model: keras.Model, *, skip_padding: bool
) -> Callable:
    """Returns the loss that `train_step.build_step` takes.

    Args:
        skip_padding: see `encoder.pooled_output`. The batches are not of texts
            of like length, so that half of them is padding.
    """

    def loss_fn(batch, keys):
        outputs = train_step.forward(
            task, model, batch, keys, skip_padding=skip_padding
        )
        vectors = tf.math.l2_normalize(outputs["embedding"], axis=1)
        texts = vectors, batch["label"], batch["row"]
        losses = contrastive_losses(texts, _of_all_replicas(texts))
        # The head has a gradient, too, of 0: the optimizer is that of all.
        head_loss = 0.0 * tf.reduce_sum(outputs["logits"])
        loss = tf.reduce_sum(losses * batch["weight"]) + head_loss
        return loss, tf.zeros([])

    return loss_fn


def _of_all_replicas(texts: Texts) -> Texts:
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    if replicas == 1:
        return texts
    vectors, ids, rows = texts
    # A sum in which each has a place of its own: `all_gather` fails with one
    # replica a worker ("destinations can not be empty"). Whole numbers are
    # exact in float32 up to 16 million.
    table = tf.concat(
        [vectors, tf.cast(tf.stack([ids, rows], axis=1), tf.float32)], axis=1
    )
    place = tf.one_hot(context.replica_id_in_sync_group, replicas)
    tables = context.all_reduce(
        tf.distribute.ReduceOp.SUM, place[:, tf.newaxis, tf.newaxis] * table
    )
    vectors, ids, rows = tf.split(
        tf.reshape(tables, [-1, table.shape[1]]), [-1, 1, 1], axis=1
    )
    return vectors, *(tf.cast(one[:, 0], tf.int32) for one in (ids, rows))


def contrastive_losses(texts: Texts, all_texts: Texts) -> tf.Tensor:
    """Returns how far each text is from those of its class, among all.

    Args:
        texts: of which the losses are.
        all_texts: they and others.

    Returns:
        <float32>[batch]: the mean over the others of its class of minus the
        logarithm of their share, a softmax of cosines; 0 where there is none.
    """
    (vectors, ids, rows), (all_vectors, all_ids, all_rows) = texts, all_texts
    cosines = tf.matmul(vectors, all_vectors, transpose_b=True)
    is_other = (all_rows >= 0) & (rows[:, tf.newaxis] != all_rows)
    shares = tf.nn.log_softmax(tf.where(is_other, cosines / _TEMPERATURE, _FAR))
    is_same = is_other & (ids[:, tf.newaxis] == all_ids)
    total = tf.reduce_sum(tf.where(is_same, shares, 0.0), axis=1)
    count = tf.reduce_sum(tf.cast(is_same, tf.float32), axis=1)
    return -tf.math.divide_no_nan(total, count)
