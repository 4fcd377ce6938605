"""Tokenizes texts in parallel with the preprocessor's graph."""

import functools
import os
from collections.abc import Callable, Sequence
from concurrent import futures

import numpy as np
import tensorflow as tf

from bert_tf.config.training import TrainConfig
from bert_tf.data import data_report
from bert_tf.data.examples import segments
from bert_tf.data.input_pipeline import EncodedTexts
from bert_tf.data.splits import Splits
from bert_tf.data.tfrecords import TokenizedRecords
from bert_tf.text.preprocessor import Preprocessor, build_preprocessor
from bert_tf.text.vocabulary import Vocabulary

_TOKENIZE_BATCH_SIZE = 1024
_TEXTS = tf.TensorSpec([None], tf.string)
_LENGTH = tf.TensorSpec([], tf.int32)
# Of texts, in tokens, where it is left to the data: what is asked later may be
# longer than what was trained on; twice as long costs twice as much, or more.
_SHORTEST, _LONGEST, _LONGEST_WINDOW = 64, 256, 128


# Tracing takes longer than tokenizing a small file: a run's share one graph.
@functools.lru_cache(maxsize=4)
def _build_encode_batch(
    preprocessor: Preprocessor, segments: int, *, with_offsets: bool = False
) -> Callable[..., dict]:
    """Returns a function of a length and so many <string>[batch], two of pairs.

    The length is the longest, <int32>[]. It returns token_ids <int32>[all
    tokens], the rows one after the other, and lengths, first_lengths and
    token_counts <int32>[batch] as in EncodedTexts; with offsets also these.
    """

    @tf.function(
        input_signature=[_LENGTH, *[_TEXTS] * segments], autograph=False
    )
    def encode_batch(length, *texts):
        if with_offsets:
            placed = [
                preprocessor.tokenize_with_offsets(text) for text in texts
            ]
            pieces = tuple(part.ids for part in placed)
        else:
            pieces = tuple(preprocessor.tokenize(text) for text in texts)
        packed = preprocessor.pack(pieces, length)
        lengths = tf.reduce_sum(packed["padding_mask"], axis=1)
        second = tf.reduce_sum(packed["segment_ids"], axis=1)
        counts = tf.add_n([piece.row_lengths() for piece in pieces])
        special_tokens = preprocessor.count_special_tokens(len(texts))
        token_ids = tf.RaggedTensor.from_tensor(packed["token_ids"], lengths)
        offsets = {}
        if with_offsets:
            padded = preprocessor.pack_offsets(
                tuple(part.offsets for part in placed), length
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
    """Returns a function of the texts for their windows."""

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
    length: int | None = None,
    with_offsets: bool = False,
    stride: int | None = None,
) -> EncodedTexts:
    """Tokenizes texts, or pairs of texts, in parallel.

    Args:
        length: the longest in place of the preprocessor's, which is not less.
            All lengths share one graph. Of windows it is the preprocessor's.
        with_offsets: whether offsets are needed.
        stride: of windows over the last texts, see `pack_windows`; None
            cuts texts off.
    """
    # As bytes: TensorFlow would convert str to bytes one by one, more slowly.
    texts = [[text.encode() for text in part] for part in texts]
    if stride is None:
        encode_batch = functools.partial(
            _build_encode_batch(
                preprocessor, len(texts), with_offsets=with_offsets
            ),
            tf.constant(length or preprocessor.sequence_length),
        )
    else:
        encode_batch = _build_encode_windows(preprocessor, len(texts), stride)

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


def length_bounds(
    max_seq_length: int | None,
    *,
    max_positions: int | None,
    has_windows: bool = False,
) -> tuple[int, int]:
    """Returns where texts are cut at the latest and at the earliest, in tokens.

    Args:
        max_seq_length: that one, if given.
        max_positions: the model's longest, if known.
    """
    if max_seq_length is not None:
        return max_seq_length, max_seq_length
    longest = _LONGEST_WINDOW if has_windows else _LONGEST
    longest = min(longest, max_positions or longest)
    return longest, longest if has_windows else min(_SHORTEST, longest)


def choose_length(counts: np.ndarray, longest: int, shortest: int) -> int:
    """Returns the length that leaves 99% of texts whole, between bounds.

    Args:
        counts: <int>[rows], the texts' tokens.
    """
    return max(data_report.recommended_length(counts, longest), shortest)


def encode_splits(
    splits: Splits,
    config: TrainConfig,
    vocabulary: Vocabulary,
    *,
    max_positions: int | None,
    with_offsets: bool,
) -> tuple[dict[str, EncodedTexts | TokenizedRecords], int]:
    """Returns the splits' tokens, and where texts are cut, in tokens.

    That is by `choose_length` of the training split, unless it is given or has
    been done: tokenized records are what they are.
    """
    records = splits.records
    longest, shortest = length_bounds(
        config.max_seq_length if records is None else records.max_seq_length,
        max_positions=max_positions,
        has_windows=config.window_stride is not None,
    )
    encode_texts = functools.partial(
        encode,
        build_preprocessor(
            vocabulary, sequence_length=longest, long_text=config.long_text
        ),
        with_offsets=with_offsets,
        stride=config.window_stride,
    )
    texts = {
        name: segments(frame)
        for name, frame in splits.frames.items()
        if records is None or name != "train"
    }
    encoded = {name: encode_texts(one) for name, one in texts.items()}
    if records is not None:
        encoded["train"] = records
    length = choose_length(encoded["train"].token_counts, longest, shortest)
    if length < longest:
        for name, one in texts.items():
            if (encoded[name].token_counts > length).any():
                encoded[name] = encode_texts(one, length=length)
    return encoded, length
