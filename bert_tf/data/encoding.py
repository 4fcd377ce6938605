"""Texts to token ids, in parallel: a tf.data map of the preprocessor."""

import functools
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from bert_tf.data.pipeline import EncodedTexts
from bert_tf.text.preprocessing import Preprocessor

_TOKENIZE_BATCH_SIZE = 1024


# Tracing takes longer than tokenizing a small file: a run's share one graph.
@functools.lru_cache(maxsize=2)
def build_encode_batch(
    preprocessor: Preprocessor, *, with_places: bool = False
) -> Callable[..., dict]:
    """Returns a function of one or two <string>[batch], for a graph.

    It returns token_ids <int32>[all tokens], the rows one after the other, and
    lengths, first_lengths and token_counts <int32>[batch] as in EncodedTexts;
    with places also these.
    """

    @tf.function(autograph=False)
    def encode_batch(*texts):
        if with_places:
            placed = [preprocessor.tokenize_with_places(text) for text in texts]
            pieces = tuple(part.ids for part in placed)
        else:
            pieces = tuple(preprocessor.tokenize(text) for text in texts)
        packed = preprocessor.pack(pieces)
        lengths = tf.reduce_sum(packed["padding_mask"], axis=1)
        second = tf.reduce_sum(packed["segment_ids"], axis=1)
        counts = tf.add_n([piece.row_lengths() for piece in pieces])
        special_tokens = preprocessor.count_special_tokens(len(texts))
        token_ids = tf.RaggedTensor.from_tensor(packed["token_ids"], lengths)
        places = {}
        if with_places:
            padded = preprocessor.pack_places(
                tuple(part.places for part in placed)
            )
            kept = tf.RaggedTensor.from_tensor(padded, lengths)
            places["places"] = kept.flat_values
        return {
            **places,
            "token_ids": token_ids.flat_values,
            "lengths": lengths,
            "first_lengths": lengths - second,
            "token_counts": tf.cast(counts, tf.int32) + special_tokens,
        }

    return encode_batch


@functools.lru_cache(maxsize=2)
def build_encode_windows(
    preprocessor: Preprocessor, stride: int
) -> Callable[..., dict]:
    """Returns what `build_encode_batch` does, of windows, with owners."""

    @tf.function(autograph=False)
    def encode_batch(*texts):
        packed = preprocessor.pack_windows(texts, stride)
        lengths = tf.reduce_sum(packed["padding_mask"], axis=1)
        kept = {
            name: tf.RaggedTensor.from_tensor(packed[name], lengths).flat_values
            for name in ("token_ids", "places")
            if name in packed
        }
        second = tf.reduce_sum(packed["segment_ids"], axis=1)
        return {
            **kept,
            "lengths": lengths,
            "first_lengths": lengths - second,
            "token_counts": lengths,
            "owners": packed["owners"],
        }

    return encode_batch


def encode(
    preprocessor: Preprocessor,
    segments: tuple[Sequence[str], ...],
    *,
    with_places: bool = False,
    stride: int | None = None,
) -> EncodedTexts:
    """Tokenizes texts, or pairs of texts, in parallel.

    Args:
        preprocessor: the model's.
        segments: one or two lists of texts.
        with_places: whether places are needed.
        stride: of windows over the last texts, see `pack_windows`; None
            cuts texts off.
    """
    # As bytes: TensorFlow would convert str to bytes one by one, more slowly.
    texts = tuple([text.encode() for text in part] for part in segments)
    dataset = tf.data.Dataset.from_tensor_slices(texts)
    dataset = dataset.batch(_TOKENIZE_BATCH_SIZE)
    dataset = dataset.map(
        build_encode_batch(preprocessor, with_places=with_places)
        if stride is None
        else build_encode_windows(preprocessor, stride),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    batches = list(dataset.as_numpy_iterator())
    for number, batch in enumerate(batches):
        if "owners" in batch:
            # Not in place: what comes from a graph is read-only.
            batch["owners"] = batch["owners"] + number * _TOKENIZE_BATCH_SIZE
    columns = {
        key: np.concatenate([batch[key] for batch in batches])
        for key in batches[0]
    }
    lengths = columns.pop("lengths").astype(np.int64)
    row_splits = np.concatenate([[0], np.cumsum(lengths)])
    return EncodedTexts(row_splits=row_splits, **columns)
