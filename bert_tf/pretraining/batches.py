"""Batches for pretraining: planned rows, drawn, masked, in the graph."""

import dataclasses
import functools
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from bert_tf.pretraining import blocks, masking, pairs
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
        count = pairs.count_pairs if self.has_pairs else blocks.count_blocks
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
            return (pairs.plan_pairs(self.corpus, **settings),)
        return blocks.plan_blocks(self.corpus, **settings)

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
            draw_pairs = pairs.build_draw_pairs(
                self.corpus,
                sequence_length=self.sequence_length,
                **ids,
                pad_token_id=self.vocabulary.tokens.index("[PAD]"),
            )
        else:
            cut_blocks = blocks.build_cut_blocks(
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
