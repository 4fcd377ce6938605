"""Tokenizes texts in parallel with the preprocessor's graph."""

import functools
import os
from collections.abc import Callable, Sequence
from concurrent import futures

import numpy as np
import tensorflow as tf

from bert_tf.data.examples import segments
from bert_tf.data.input_pipeline import EncodedTexts
from bert_tf.data.splits import Splits
from bert_tf.data.tfrecords import TokenizedRecords
from bert_tf.text.preprocessor import Preprocessor

_TOKENIZE_BATCH_SIZE = 1024
_TEXTS = tf.TensorSpec([None], tf.string)


# Tracing takes longer than tokenizing a small file: a run's share one graph.
@functools.lru_cache(maxsize=4)
def _build_encode_batch(
    preprocessor: Preprocessor, segments: int, *, with_offsets: bool = False
) -> Callable[..., dict]:
    """Returns a function of so many <string>[batch]: one, or two for pairs.

    It returns token_ids <int32>[all tokens], the rows one after the other, and
    lengths, first_lengths and token_counts <int32>[batch] as in EncodedTexts;
    with offsets also these.
    """

    @tf.function(input_signature=[_TEXTS] * segments, autograph=False)
    def encode_batch(*texts):
        if with_offsets:
            placed = [
                preprocessor.tokenize_with_offsets(text) for text in texts
            ]
            pieces = tuple(part.ids for part in placed)
        else:
            pieces = tuple(preprocessor.tokenize(text) for text in texts)
        packed = preprocessor.pack(pieces)
        lengths = tf.reduce_sum(packed["padding_mask"], axis=1)
        second = tf.reduce_sum(packed["segment_ids"], axis=1)
        counts = tf.add_n([piece.row_lengths() for piece in pieces])
        special_tokens = preprocessor.count_special_tokens(len(texts))
        token_ids = tf.RaggedTensor.from_tensor(packed["token_ids"], lengths)
        offsets = {}
        if with_offsets:
            padded = preprocessor.pack_offsets(
                tuple(part.offsets for part in placed)
            )
            kept = tf.RaggedTensor.from_tensor(padded, lengths)
            offsets["offsets"] = kept.flat_values
        return {
            **offsets,
            "token_ids": token_ids.flat_values,
            "lengths": lengths,
            "first_lengths": lengths - second,
            "token_counts": tf.cast(counts, tf.int32) + special_tokens,
        }

    return encode_batch


@functools.lru_cache(maxsize=4)
def _build_encode_windows(
    preprocessor: Preprocessor, segments: int, stride: int
) -> Callable[..., dict]:
    """Returns what `_build_encode_batch` does, of windows."""

    @tf.function(input_signature=[_TEXTS] * segments, autograph=False)
    def encode_batch(*texts):
        packed = preprocessor.pack_windows(texts, stride)
        lengths = tf.reduce_sum(packed["padding_mask"], axis=1)
        kept = {
            name: tf.RaggedTensor.from_tensor(packed[name], lengths).flat_values
            for name in ("token_ids", "offsets")
            if name in packed
        }
        second = tf.reduce_sum(packed["segment_ids"], axis=1)
        return {
            **kept,
            "lengths": lengths,
            "first_lengths": lengths - second,
            "token_counts": lengths,
            "example_index": packed["example_index"],
        }

    return encode_batch


def encode(
    preprocessor: Preprocessor,
    texts: tuple[Sequence[str], ...],
    *,
    with_offsets: bool = False,
    stride: int | None = None,
) -> EncodedTexts:
    """Tokenizes texts, or pairs of texts, in parallel.

    Args:
        with_offsets: whether offsets are needed.
        stride: of windows over the last texts, see `pack_windows`; None
            cuts texts off.
    """
    # As bytes: TensorFlow would convert str to bytes one by one, more slowly.
    texts = [[text.encode() for text in part] for part in texts]
    encode_batch = (
        _build_encode_batch(preprocessor, len(texts), with_offsets=with_offsets)
        if stride is None
        else _build_encode_windows(preprocessor, len(texts), stride)
    )

    def encode_from(start: int) -> dict[str, np.ndarray]:
        end = start + _TOKENIZE_BATCH_SIZE
        parts = [tf.constant(part[start:end], tf.string) for part in texts]
        return {
            name: value.numpy() for name, value in encode_batch(*parts).items()
        }

    # Threads, since a tf.data.Dataset takes half a second to be built for a
    # graph that holds a vocabulary, and is no faster then.
    with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        starts = range(0, max(1, len(texts[0])), _TOKENIZE_BATCH_SIZE)
        batches = list(pool.map(encode_from, starts))
    for number, batch in enumerate(batches):
        if "example_index" in batch:
            batch["example_index"] = (
                batch["example_index"] + number * _TOKENIZE_BATCH_SIZE
            )
    columns = {
        key: np.concatenate([batch[key] for batch in batches])
        for key in batches[0]
    }
    lengths = columns.pop("lengths").astype(np.int64)
    row_splits = np.concatenate([[0], np.cumsum(lengths)])
    return EncodedTexts(row_splits=row_splits, **columns)


def encode_splits(
    preprocessor: Preprocessor, splits: Splits, **kwargs
) -> dict[str, EncodedTexts | TokenizedRecords]:
    """Returns the splits' tokens; tokenized records are what they are."""
    encoded = {
        name: encode(preprocessor, segments(frame), **kwargs)
        for name, frame in splits.frames.items()
        if splits.records is None or name != "train"
    }
    if splits.records is not None:
        encoded["train"] = splits.records
    return encoded
