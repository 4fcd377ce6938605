"""Texts to packed token ids, and long texts to windows."""

import functools
from typing import NamedTuple

import keras_nlp
import tensorflow as tf

from bert_tf.text import offsets, tokenizers
from bert_tf.text import vocabulary as vocabulary_lib
from bert_tf.text.vocabulary import Vocabulary

# Of a question, before its context, as in google-research/bert's run_squad.py.
_LONGEST_QUESTION = 64


def build_preprocessor(
    vocabulary: Vocabulary, *, sequence_length: int, long_text: str = "truncate"
) -> "Preprocessor":
    """Returns a `Preprocessor`; of word pieces the same one each time.

    What is built on it, such as the graph of `encoding.encode`, is then traced
    once for all trainings of a process. Tokenizers of other kinds hold a
    resource, which does not outlive keras.backend.clear_session.
    """
    build = Preprocessor
    if vocabulary.kind == vocabulary_lib.WORD_PIECE:
        build = _shared_preprocessor
    return build(
        vocabulary, sequence_length=sequence_length, long_text=long_text
    )


@functools.lru_cache(maxsize=4)
def _shared_preprocessor(vocabulary: Vocabulary, **settings) -> "Preprocessor":
    return Preprocessor(vocabulary, **settings)


class Preprocessor:
    """Turns batches of texts, or pairs of texts, into model inputs.

    Call it inside a tf.data map or a tf.function: KerasNLP's eager path is
    another implementation.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        sequence_length: int,
        long_text: str = "truncate",
    ):
        """Builds the tokenizer.

        Args:
            sequence_length: the longest, in tokens.
            long_text: what is kept of a longer single text: its beginning
                (truncate), or a quarter of the length from its beginning and
                the rest from its end (head_tail), as Sun et al. 2019
                (1905.05583) found best for reviews. `pack_windows` keeps all.
        """
        self.vocabulary = vocabulary
        self._keeps_tail = long_text == "head_tail"
        self.sequence_length = sequence_length
        self.tokenizer = tokenizers.build_tokenizer(vocabulary)
        self.special_ids = vocabulary.special_ids
        # Waterfall truncation never has anything left to cut (`_trim` came
        # before), and unlike the default it is made of core operations only:
        # TensorFlow Serving up to 2.19 does not know TFText>RoundRobinTrim.
        self._packer = keras_nlp.layers.MultiSegmentPacker(
            sequence_length=sequence_length,
            start_value=self.special_ids.start,
            end_value=self.special_ids.end,
            sep_value=[self.special_ids.end] * vocabulary.separators,
            pad_value=self.special_ids.padding,
            truncate="waterfall",
        )

    @property
    def resource(self) -> tf.Module | None:
        """What a tokenizer holds that is to be saved with a graph."""
        return getattr(self.tokenizer, "resource", None)

    def tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Returns the ids of texts <string>[batch], untruncated."""
        return self.tokenizer(texts)

    def tokenize_with_offsets(
        self, texts: tf.Tensor
    ) -> offsets.PiecesWithOffsets:
        """Returns the ids that `tokenize` does, and where they are.

        Of WordPiece vocabularies only, see `tokenizers.check_offsets`.
        """
        return self.tokenizer.with_offsets(texts)

    def count_special_tokens(self, segments: int) -> int:
        """Returns how many tokens `pack` adds to so many segments."""
        return 2 + (segments - 1) * self.vocabulary.separators

    def pack_offsets(
        self,
        offsets: tuple[tf.RaggedTensor, ...],
        length: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns offsets <int32>[batch, longest, 3] of what `pack` returns.

        Args:
            offsets: of one or two segments, as in `PiecesWithOffsets`; special
                tokens and padding are at 0.
            length: as `pack` takes it.
        """
        if length is None:
            length = self.sequence_length
        offsets = _trim(offsets, length - len(offsets) - 1)
        special = tf.zeros([offsets[0].nrows(), 1, 3], tf.int32)
        parts = [special]
        for part in offsets:
            parts += [part, special]
        return tf.concat(parts, axis=1).to_tensor(shape=[None, None, 3])

    def pack_windows(
        self, segments: tuple[tf.Tensor, ...], stride: int
    ) -> dict[str, tf.Tensor]:
        """Packs every window of each text, or each question with those.

        Args:
            segments: texts, or questions and contexts: <string>[batch].
                Questions are cut to 64 pieces, or half the length.

        Returns:
            token_ids, segment_ids and padding_mask <int32>[windows, longest]
            as `pack` does; example_index <int64>[windows], see `Windows`; and
            of contexts offsets <int32>[windows, longest, 3].
        """
        if len(segments) == 1:
            pieces = self.tokenize(segments[0])
            rooms = tf.fill(
                [pieces.nrows()],
                tf.constant(self.sequence_length - 2, tf.int64),
            )
            windows = cut_windows(pieces, rooms, stride)
            kept = tf.gather(pieces.flat_values, windows.index)
            return {
                **self._pack_one(kept, self.sequence_length - 2),
                "example_index": windows.example_index,
            }
        questions, contexts = segments
        room = self.sequence_length - 3
        question = self.tokenize(questions)
        question = question[:, : min(_LONGEST_QUESTION, room // 2)]
        placed = self.tokenize_with_offsets(contexts)
        windows = cut_windows(placed.ids, room - question.row_lengths(), stride)
        asked = tf.gather(question, windows.example_index)
        ids, offsets = (
            tf.gather(part.flat_values, windows.index) for part in placed
        )
        nowhere = tf.zeros([tf.shape(windows.example_index)[0], 1, 3], tf.int32)
        of_question = tf.gather(
            tf.zeros([1, 3], tf.int32),
            asked.with_values(tf.zeros_like(asked.flat_values)),
        )
        all_offsets = tf.concat(
            [nowhere, of_question, nowhere, offsets, nowhere], axis=1
        )
        return {
            **self._pack_pair(asked, ids),
            "offsets": all_offsets.to_tensor(shape=[None, None, 3]),
            "example_index": windows.example_index,
        }

    def pack(
        self,
        segments: tuple[tf.RaggedTensor, ...],
        length: tf.Tensor | None = None,
    ) -> dict:
        """Truncates, adds special tokens, and pads to the longest text.

        Args:
            segments: one or two <int32>[batch, (pieces)].
            length: <int32>[], the longest in place of sequence_length, which
                it must not exceed.

        Returns:
            token_ids, segment_ids and padding_mask, each
            <int32>[batch, longest], where longest <= sequence_length.
        """
        if length is None:
            length = self.sequence_length
        budget = length - self.count_special_tokens(len(segments))
        if len(segments) == 2:
            return self._pack_pair(*_trim(segments, budget))
        (pieces,) = segments
        if self._keeps_tail:
            pieces = _head_and_tail(pieces, budget)
        return self._pack_one(pieces, budget)

    def _pack_one(
        self, pieces: tf.RaggedTensor, budget: int | tf.Tensor
    ) -> dict:
        """Does what `pack` does with a single segment.

        In few operations: their number is what a text by itself waits for.
        """
        special = self.special_ids
        lengths = tf.cast(pieces.row_lengths(), tf.int32)
        lengths = tf.minimum(lengths, budget)
        # At least one column, so that an empty batch has a shape too.
        longest = tf.reduce_max(tf.concat([[1], lengths + 2], axis=0))
        kept = pieces.to_tensor(special.padding, shape=tf.stack([-1, budget]))
        edge = tf.ones_like(lengths)[:, tf.newaxis]
        token_ids = tf.concat(
            [edge * special.start, kept, edge * special.padding], axis=1
        )[:, :longest]
        positions, last = tf.range(longest), lengths[:, tf.newaxis] + 1
        token_ids = tf.where(positions == last, special.end, token_ids)
        return {
            "token_ids": token_ids,
            "segment_ids": tf.zeros_like(token_ids),
            "padding_mask": tf.cast(positions <= last, tf.int32),
        }

    def _pack_pair(
        self, first: tf.RaggedTensor, second: tf.RaggedTensor
    ) -> dict:
        """Does what `pack` does with two segments that are short enough."""
        token_ids, segment_ids = self._packer((first, second))
        padding_mask = tf.cast(token_ids != self.special_ids.padding, tf.int32)
        # At least one column, so that an empty batch has a shape too.
        longest = tf.reduce_max(
            tf.concat([[1], tf.reduce_sum(padding_mask, axis=1)], axis=0)
        )
        return {
            "token_ids": token_ids[:, :longest],
            "segment_ids": segment_ids[:, :longest],
            "padding_mask": padding_mask[:, :longest],
        }

    def __call__(self, segments: tuple[tf.Tensor, ...]) -> dict:
        """Tokenizes and packs one or two <string>[batch]."""
        return self.pack(tuple(self.tokenize(texts) for texts in segments))


def _trim(
    segments: tuple[tf.RaggedTensor, ...], budget: int | tf.Tensor
) -> tuple[tf.RaggedTensor, ...]:
    """Cuts segments to `budget` pieces in all, as RoundRobinTrimmer does.

    A round robin deals the room token by token, the first segment first: of two
    segments the shorter keeps up to half of it, the other the rest.
    """
    if len(segments) == 1:
        return (segments[0][:, :budget],)
    first, second = segments
    second_lengths = second.row_lengths()
    budget = tf.cast(budget, second_lengths.dtype)
    half_up = (budget + 1) // 2
    first_keeps = tf.maximum(half_up, budget - second_lengths)
    first = _keep(first, first_keeps)
    return first, _keep(second, budget - first.row_lengths())


def _head_and_tail(
    pieces: tf.RaggedTensor, budget: int | tf.Tensor
) -> tf.RaggedTensor:
    """Cuts texts to `budget` pieces, of which a quarter are the first ones."""
    budget = tf.cast(budget, pieces.row_lengths().dtype)
    head = budget // 4
    positions = tf.ragged.range(pieces.row_lengths()).flat_values
    tails = tf.gather(
        pieces.row_lengths() - (budget - head), pieces.value_rowids()
    )
    kept = (positions < head) | (positions >= tails)
    return tf.ragged.boolean_mask(pieces, pieces.with_values(kept))


def _keep(ragged: tf.RaggedTensor, lengths: tf.Tensor) -> tf.RaggedTensor:
    """Keeps the first `lengths` <int64>[batch] values of each row."""
    positions = tf.ragged.range(ragged.row_lengths()).flat_values
    limits = tf.gather(lengths, ragged.value_rowids())
    kept = ragged.with_values(positions < limits)
    return tf.ragged.boolean_mask(ragged, kept)


def token_table(preprocessor: Preprocessor, segments: tuple[str, ...]) -> str:
    """Returns tokens, ids, segment ids and mask of one text or pair."""
    function = tf.function(lambda *texts: preprocessor(texts), autograph=False)
    features = function(*(tf.constant([text]) for text in segments))
    ids = features["token_ids"][0].numpy()
    tokens = [preprocessor.vocabulary.tokens[i] for i in ids]
    rows = zip(
        range(len(ids)),
        tokens,
        ids,
        features["segment_ids"][0].numpy(),
        features["padding_mask"][0].numpy(),
        strict=True,
    )
    width = max(len("token"), *(len(token) for token in tokens))
    lines = [f"{'position':>8}  {'token':<{width}}  {'id':>6}  segment  mask"]
    lines += [
        f"{position:>8}  {token:<{width}}  {i:>6}  {segment:>7}  {mask:>4}"
        for position, token, i, segment, mask in rows
    ]
    return "\n".join(lines)


class Windows(NamedTuple):
    """Windows of all texts, one after the other.

    Attributes:
        example_index: <int64>[windows], whose text's it is.
        index: <int64>[windows, (pieces)], which of all pieces are in it.
    """

    example_index: tf.Tensor
    index: tf.RaggedTensor


def cut_windows(
    pieces: tf.RaggedTensor, rooms: tf.Tensor, stride: int
) -> Windows:
    """Returns windows that hold every piece, at least one for each text.

    Args:
        pieces: [batch, (pieces), ...].
        rooms: <int64>[batch], how many pieces a window holds; above 0.
        stride: from the start of a window to that of the next, in pieces; less
            where the room is.
    """
    lengths = pieces.row_lengths()
    steps = tf.minimum(tf.constant(stride, tf.int64), rooms)
    beyond = tf.maximum(lengths - rooms, 0)
    counts = 1 + (beyond + steps - 1) // steps
    example_index = tf.repeat(tf.range(pieces.nrows()), counts)
    starts = tf.ragged.range(counts).flat_values * tf.gather(
        steps, example_index
    )
    limits = tf.minimum(
        starts + tf.gather(rooms, example_index),
        tf.gather(lengths, example_index),
    )
    bases = tf.gather(pieces.row_starts(), example_index)
    return Windows(
        example_index, tf.ragged.range(bases + starts, bases + limits)
    )
