"""Batches of packed or paired sequences, masked in the graph."""

import dataclasses
import functools
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from bert_tf.errors import InputError
from bert_tf.pretraining import masking, next_sentence
from bert_tf.pretraining.corpus import Corpus
from bert_tf.text.vocabulary import Vocabulary


@dataclasses.dataclass(frozen=True)
class Batches:
    """Makes the batches of each epoch of a corpus.

    Every epoch has as many. The same seed gives the same batches; another
    epoch gives other pairs and other masks.

    Attributes:
        corpus: the documents.
        vocabulary: of the token ids.
        has_pairs: pairs for next sentence prediction, or full blocks.
        sequence_length: longest row, special tokens included.
        batch_size: rows of each batch (the global one).
        max_predictions: most tokens of a row that are predicted.
        whole_words: mask whole words.
        seed: of everything drawn.
        max_rows: rows of an epoch at most.
    """

    corpus: Corpus
    vocabulary: Vocabulary
    has_pairs: bool
    sequence_length: int
    batch_size: int
    max_predictions: int
    whole_words: bool
    seed: int
    max_rows: int | None = None

    @property
    def rows(self) -> int:
        """Rows of an epoch; InputError where the corpus has too little."""
        count = next_sentence.count_pairs if self.has_pairs else count_blocks
        rows = count(self.corpus, sequence_length=self.sequence_length)
        return min(rows, self.max_rows or rows)

    @property
    def steps(self) -> int:
        """Batches of an epoch; the last is filled up."""
        return math.ceil(self.rows / self.batch_size)

    def dataset(self, epoch: int, *, first_step: int = 0) -> tf.data.Dataset:
        """Returns the batches of an epoch from a step on.

        They are dicts of token_ids, segment_ids, padding_mask
        <int32>[batch, sequence_length]; masked_positions, masked_ids
        <int32>[batch, max_predictions]; masked_weights <float32> of that
        shape and weight <float32>[batch], each of which adds up to 1;
        is_random <int32>[batch], 1 where the second text is from elsewhere;
        row <int32>[batch], -1 where a row fills up the batch.
        """
        planned, *places = self._plan(epoch)
        planned = planned[: self.rows]
        planned = np.concatenate(
            [planned, np.full(-len(planned) % self.batch_size, planned[0])]
        ).reshape(self.steps, self.batch_size)[first_step:]
        steps = np.arange(first_step, self.steps, dtype=np.int32)
        dataset = tf.data.Dataset.from_tensor_slices((steps, planned))
        dataset = tf.data.Dataset.zip(
            (
                dataset,
                tf.data.Dataset.from_tensors(tuple(places) or 0).repeat(),
            )
        )
        # Here, not inside the map: it holds tensors.
        make = self._make
        dataset = dataset.map(
            lambda batch, places: make(
                tf.constant(epoch), *batch, *(places if self._places else ())
            ),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        return dataset.prefetch(tf.data.AUTOTUNE)

    def _plan(self, epoch: int) -> tuple[np.ndarray, ...]:
        settings = {
            "sequence_length": self.sequence_length,
            "seed": self.seed,
            "epoch": epoch,
        }
        if self.has_pairs:
            return (next_sentence.plan_pairs(self.corpus, **settings),)
        return plan_blocks(self.corpus, **settings)

    @property
    def _places(self) -> int:
        """How many arrays are needed beside the planned rows."""
        return 0 if self.has_pairs else 2

    @functools.cached_property
    def _make(self) -> Callable:
        """A function of epoch, step, planned rows; traced once for all."""
        ids = {
            f"{name}_token_id": self.vocabulary.tokens.index(token)
            for name, token in (("cls", "[CLS]"), ("sep", "[SEP]"))
        }
        mask_tokens = masking.build_mask_tokens(
            self.vocabulary,
            max_predictions=self.max_predictions,
            whole_words=self.whole_words,
        )
        if self.has_pairs:
            draw_pairs = next_sentence.build_draw_pairs(
                self.corpus,
                sequence_length=self.sequence_length,
                **ids,
                pad_token_id=self.vocabulary.tokens.index("[PAD]"),
            )
        else:
            cut_blocks = build_cut_blocks(
                self.corpus, sequence_length=self.sequence_length, **ids
            )

        @tf.function(
            input_signature=[
                tf.TensorSpec([], tf.int32),
                tf.TensorSpec([], tf.int32),
                tf.TensorSpec([self.batch_size], tf.int64),
                *[tf.TensorSpec([None], tf.int64)] * self._places,
            ],
            autograph=False,
        )
        def make(epoch, step, planned, *places):
            seed = tf.stack([self.seed % 2**31, epoch * self.steps + step])
            draw_seed, mask_seed = tf.unstack(tf.random.split(seed))
            if self.has_pairs:
                batch = draw_pairs(planned, draw_seed)
            else:
                batch = cut_blocks(planned, *places)
                batch["is_random"] = tf.zeros([self.batch_size], tf.int32)
            batch |= mask_tokens(batch["token_ids"], mask_seed)
            return self._weigh(step, batch)

        return make

    def _weigh(self, step: tf.Tensor, batch: dict) -> dict:
        rows = step * self.batch_size + tf.range(self.batch_size)
        counts = rows < self.rows
        weight = tf.cast(counts, tf.float32)
        masked = batch["masked_weights"] * weight[:, tf.newaxis]
        masked /= tf.maximum(tf.reduce_sum(masked), 1.0)
        shape = [self.batch_size, self.sequence_length]
        shaped = {
            name: tf.ensure_shape(batch[name], shape)
            for name in ("token_ids", "segment_ids", "padding_mask")
        }
        return {
            **batch,
            **shaped,
            "masked_weights": masked,
            "weight": weight / tf.reduce_sum(weight),
            "row": tf.where(counts, rows, -1),
        }


# [CLS] and [SEP] around a block.
_SPECIAL_TOKENS = 2


def count_blocks(corpus: Corpus, *, sequence_length: int) -> int:
    """Returns how many blocks are an epoch.

    Raises:
        InputError: the corpus does not fill one.
    """
    budget = sequence_length - _SPECIAL_TOKENS
    # The first cut may take up to a block.
    count = _stream_length(corpus) // budget - 1
    if count < 1:
        raise InputError(
            f"{len(corpus.token_ids)} tokens do not fill two sequences of "
            f"--max_seq_length={sequence_length}; take a shorter one, or more "
            "text (in --validation_split)"
        )
    return int(count)


def plan_blocks(
    corpus: Corpus, *, sequence_length: int, seed: int, epoch: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns where blocks start in a stream of the documents, shuffled.

    Returns:
        The starts <int64>[blocks], shuffled; where in the stream each document
        starts <int64>[documents + 1], the end is last; and where in the corpus
        <int64>[documents].
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(corpus.document_lengths))
    budget = sequence_length - _SPECIAL_TOKENS
    count = count_blocks(corpus, sequence_length=sequence_length)
    spare = _stream_length(corpus) - count * budget
    starts = generator.integers(spare + 1) + np.arange(count) * budget
    lengths = corpus.document_lengths[order]
    return (
        generator.permutation(starts),
        # Each with its [SEP].
        np.concatenate([[0], np.cumsum(lengths + 1)]),
        corpus.sentence_starts[corpus.document_starts[:-1]][order],
    )


def build_cut_blocks(
    corpus: Corpus,
    *,
    sequence_length: int,
    cls_token_id: int,
    sep_token_id: int,
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], dict]:
    """Returns a function for a tf.data map that cuts blocks from the stream.

    It takes what `plan_blocks` returns, of the blocks those of the batch, and
    returns token_ids, segment_ids, padding_mask
    <int32>[batch, sequence_length].
    """
    tokens = tf.constant(corpus.token_ids)
    budget = sequence_length - _SPECIAL_TOKENS

    def cut_blocks(starts, stream_starts, source_starts):
        places = starts[:, tf.newaxis] + tf.range(budget, dtype=tf.int64)
        document = (
            tf.searchsorted(
                stream_starts,
                tf.reshape(places, [-1]),
                side="right",
                out_type=tf.int64,
            )
            - 1
        )
        document = tf.reshape(document, tf.shape(places))
        within = places - tf.gather(stream_starts, document)
        is_end = places + 1 == tf.gather(stream_starts, document + 1)
        source = tf.gather(source_starts, document) + within
        ids = tf.gather(tokens, tf.where(is_end, tf.zeros_like(source), source))
        ids = tf.where(is_end, sep_token_id, ids)
        ids = tf.pad(ids, [[0, 0], [1, 0]], constant_values=cls_token_id)
        ids = tf.pad(ids, [[0, 0], [0, 1]], constant_values=sep_token_id)
        return {
            "token_ids": ids,
            "segment_ids": tf.zeros_like(ids),
            "padding_mask": tf.ones_like(ids),
        }

    return cut_blocks


def _stream_length(corpus: Corpus) -> int:
    return len(corpus.token_ids) + len(corpus.document_lengths)
