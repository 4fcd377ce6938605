"""Token ids to padded batches, grouped by length (tf.data).

Tokenized texts are kept whole in memory (4 bytes per token). Which examples
make a batch is planned outside the graph, as a pure function of the seed and
the epoch; tf.data then gathers and pads them.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from bert_tf.data.tfrecords import TokenizedRecords

_FEATURES = ("token_ids", "segment_ids", "padding_mask")
# How many batches are shuffled and sorted together: the larger, the less
# padding and the less chance in who meets whom in a batch.
_BATCHES_PER_POOL = 50
_PARALLEL_BATCHES = 4


@dataclasses.dataclass(frozen=True)
class EncodedTexts:
    """Tokenized and truncated texts, without padding.

    Attributes:
        token_ids: <int32>[all tokens], the rows one after the other.
        row_splits: <int64>[rows + 1], where each row starts.
        first_lengths: <int32>[rows], tokens up to the first [SEP], included;
            the others are of segment 1.
        token_counts: <int32>[rows], lengths before truncation, special
            tokens included.
        offsets: <int32>[all tokens, 3], see `PiecesWithOffsets`; None where
            they were not asked for.
        example_index: <int64>[rows], of which text each row is a window,
            ascending; None where rows are texts. Windows are not truncated:
            their token_counts are their lengths.
    """

    token_ids: np.ndarray
    row_splits: np.ndarray
    first_lengths: np.ndarray
    token_counts: np.ndarray
    offsets: np.ndarray | None = None
    example_index: np.ndarray | None = None

    @property
    def lengths(self) -> np.ndarray:
        """<int64>[rows], tokens after truncation."""
        return np.diff(self.row_splits)


def concatenate(first: EncodedTexts, second: EncodedTexts) -> EncodedTexts:
    """Returns the rows of one after those of the other."""
    joined = {
        field.name: None
        if getattr(first, field.name) is None
        else np.concatenate(
            [getattr(one, field.name) for one in (first, second)]
        )
        for field in dataclasses.fields(EncodedTexts)
    }
    lengths = np.concatenate([first.lengths, second.lengths])
    joined["row_splits"] = np.concatenate([[0], np.cumsum(lengths)])
    if first.example_index is not None:
        joined["example_index"][len(first.lengths) :] += (
            first.example_index[-1] + 1
        )
    return EncodedTexts(**joined)


def plan_training_epoch(
    lengths: np.ndarray, *, batch_size: int, seed: int, epoch: int
) -> list[np.ndarray]:
    """Returns the row numbers of each batch of one epoch, every row once.

    Rows are shuffled, sorted by length within pools of _BATCHES_PER_POOL
    batches, cut into batches, and the batches shuffled: the scheme of
    Transformers' group_by_length.
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(lengths))
    pool_size = batch_size * _BATCHES_PER_POOL
    for start in range(0, len(order), pool_size):
        pool = order[start : start + pool_size]
        order[start : start + pool_size] = pool[
            np.argsort(lengths[pool], kind="stable")
        ]
    plan = _cut(order, batch_size)
    return [plan[i] for i in generator.permutation(len(plan))]


def plan_evaluation(
    lengths: np.ndarray, *, batch_size: int
) -> list[np.ndarray]:
    """Returns the row numbers of each batch, longest rows first."""
    return _cut(np.argsort(-lengths, kind="stable"), batch_size)


def build_dataset(
    encoded: EncodedTexts | TokenizedRecords,
    plan: Sequence[np.ndarray],
    *,
    batch_size: int,
    pad_token_id: int,
    labels: np.ndarray | tf.RaggedTensor | None = None,
    weights: np.ndarray | None = None,
    weight_sum: float | None = None,
    fixed_length: int | None = None,
    pad_to_multiple_of: int = 1,
    longest: int | None = None,
) -> tf.data.Dataset:
    """Gathers and pads the planned batches.

    Every batch has `batch_size` rows: a short one is filled up with copies of
    its first row that have the weight 0 and the row number -1.

    Args:
        plan: row numbers of each batch.
        batch_size: rows of each batch (the global one).
        labels: the targets, rows first: <int32>[rows] class ids, a vector a
            row, or a value for each token (ragged), padded with -1.
        weights: <float32>[rows], how much each row counts; 1 by default.
        weight_sum: what they are divided by; by default their sum in the
            batch, so that every batch counts the same.
        fixed_length: pad to so many tokens, where the device wants static
            shapes; by default to the longest of the batch.
        pad_to_multiple_of: else pad to a multiple of so many tokens, where
            each length is a program of its own to compile.
        longest: but not beyond it.

    Returns:
        Dicts of token_ids, segment_ids, padding_mask: <int32>[batch, longest];
        label [batch, ...]; weight <float32>[batch], which adds up to 1
        unless weight_sum is given;
        row <int32>[batch].
    """
    rows = np.full([len(plan), batch_size], -1, np.int32)
    for i, batch in enumerate(plan):
        rows[i, : len(batch)] = batch
    count = len(encoded.lengths)
    gather_tokens = _gather_function(encoded)
    if labels is None:
        labels = np.zeros(count, np.int32)
    if not isinstance(labels, tf.RaggedTensor):
        is_whole = np.issubdtype(np.asarray(labels).dtype, np.integer)
        labels = tf.constant(labels, tf.int32 if is_whole else tf.float32)
    weights = tf.constant(
        np.ones(count) if weights is None else weights, tf.float32
    )

    @tf.autograph.experimental.do_not_convert
    def gather(rows):
        source = tf.where(rows < 0, rows[0], rows)
        tokens, first = gather_tokens(source)
        lengths = tf.cast(tokens.row_lengths(), tf.int32)
        length = fixed_length
        if length is None:
            length = tf.reduce_max(lengths)
            length += -length % pad_to_multiple_of
            length = tf.minimum(length, longest or tf.int32.max)
        ids = _padded(tokens, pad_token_id, length)
        positions = tf.range(tf.shape(ids)[1])[tf.newaxis]
        label = tf.gather(labels, source)
        if isinstance(label, tf.RaggedTensor):
            label = _padded(label, -1, length)
            label = tf.ensure_shape(label, [batch_size, fixed_length])
        mask = tf.cast(positions < lengths[:, tf.newaxis], tf.int32)
        # TPUs want every shape to be known.
        shape = [batch_size, fixed_length]
        mask = tf.ensure_shape(mask, shape)
        weight = tf.where(rows < 0, 0.0, tf.gather(weights, source))
        return {
            "token_ids": tf.ensure_shape(ids, shape),
            "segment_ids": tf.cast(positions >= first[:, tf.newaxis], tf.int32)
            * mask,
            "padding_mask": mask,
            "label": label,
            "weight": weight / (weight_sum or tf.reduce_sum(weight)),
            "row": rows,
        }

    dataset = tf.data.Dataset.from_tensor_slices(rows)
    # Every worker makes the whole batch and takes its rows of it.
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.DATA
    )
    # A batch takes a millisecond; tuning how many at once took a core, and an
    # iterator waited for its end: 20 s after 30 steps of 14 tweets.
    options.autotune.enabled = False
    dataset = dataset.with_options(options)
    dataset = dataset.map(gather, num_parallel_calls=_PARALLEL_BATCHES)
    return dataset.prefetch(_PARALLEL_BATCHES)


def _padded(values: tf.RaggedTensor, value: int, length) -> tf.Tensor:
    """Returns <int32>[rows, length], no shorter than the longest row."""
    dense = values.to_tensor(value)
    missing = length - tf.shape(dense)[1]
    return tf.pad(dense, [[0, 0], [0, missing]], constant_values=value)


def features(batch: dict) -> dict:
    """Returns what of a batch goes into the model."""
    return {name: batch[name] for name in _FEATURES}


def _gather_function(
    encoded: EncodedTexts | TokenizedRecords,
) -> Callable[[tf.Tensor], tuple]:
    """Returns a function of rows <int32>[batch], for a tf.data map.

    It returns token ids <int32>[batch, (tokens)] and the lengths up to the
    first [SEP] <int32>[batch].
    """
    if isinstance(encoded, EncodedTexts):
        token_ids = tf.RaggedTensor.from_row_splits(
            encoded.token_ids, encoded.row_splits
        )
        first_lengths = tf.constant(encoded.first_lengths)
        return lambda rows: (
            tf.gather(token_ids, rows),
            tf.gather(first_lengths, rows),
        )

    def gather(rows: tf.Tensor) -> tuple[tf.RaggedTensor, tf.Tensor]:
        records = tf.numpy_function(encoded.read, [rows], tf.string)
        parsed = tf.io.parse_example(
            tf.ensure_shape(records, rows.shape),
            {
                "token_ids": tf.io.RaggedFeature(
                    tf.int64, row_splits_dtype=tf.int64
                ),
                "first_length": tf.io.FixedLenFeature([], tf.int64),
            },
        )
        return (
            tf.cast(parsed["token_ids"], tf.int32),
            tf.cast(parsed["first_length"], tf.int32),
        )

    return gather


def _cut(order: np.ndarray, batch_size: int) -> list[np.ndarray]:
    return [
        order[start : start + batch_size]
        for start in range(0, len(order), batch_size)
    ]
