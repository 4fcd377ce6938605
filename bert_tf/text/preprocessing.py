"""Texts to token ids, through KerasNLP's tokenizer and packer.

KerasNLP's own splitting into words differs from google-research/bert's (case
folding, accents, spaces, control characters), so the words come from
`normalization` and its tokenizer only looks up their pieces.
"""

import keras_nlp
import tensorflow as tf
import tensorflow_text as tf_text

from bert_tf.text import normalization
from bert_tf.text.vocabulary import Vocabulary

# UTF-8 needs at most four bytes for a character.
_MAX_WORD_BYTES = 4 * normalization.MAX_WORD_CHARACTERS


class WordPieceTokenizer(keras_nlp.models.BertTokenizer):
    """KerasNLP's BERT tokenizer for words that are already split.

    KerasNLP takes words over 100 bytes for unknown, the original over so many
    characters: a Thai or Russian word of 40 to 100 letters is lost. There is
    no argument for it, hence this override of the method that builds the
    lookup (keras-hub 0.32).
    """

    def __init__(self, vocabulary, **kwargs):
        super().__init__(
            vocabulary, lowercase=False, strip_accents=False, split=False,
            **kwargs,
        )  # fmt: skip

    def _set_vocabulary_tf(self):
        self._fast_word_piece = tf_text.FastWordpieceTokenizer(
            vocab=self.vocabulary,
            token_out_type=self.compute_dtype,
            suffix_indicator=self.suffix_indicator,
            max_bytes_per_word=_MAX_WORD_BYTES,
            unknown_token=self.oov_token,
            no_pretokenization=True,
            support_detokenization=True,
        )


class Preprocessor:
    """Turns batches of texts, or pairs of texts, into model inputs.

    Call it inside a tf.data map or a tf.function: KerasNLP's eager path is
    another implementation.
    """

    def __init__(self, vocabulary: Vocabulary, *, sequence_length: int):
        self.vocabulary = vocabulary
        self.sequence_length = sequence_length
        self.tokenizer = WordPieceTokenizer(list(vocabulary.tokens))
        # Waterfall truncation never has anything left to cut (`_trim` came
        # before), and unlike the default it is made of core operations only:
        # TensorFlow Serving up to 2.19 does not know TFText>RoundRobinTrim.
        self._packer = keras_nlp.layers.MultiSegmentPacker(
            sequence_length=sequence_length,
            start_value=self.tokenizer.cls_token_id,
            end_value=self.tokenizer.sep_token_id,
            pad_value=self.tokenizer.pad_token_id,
            truncate="waterfall",
        )

    def tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Returns the word piece ids of texts <string>[batch], untruncated."""
        words = normalization.split_words(
            texts,
            lowercase=self.vocabulary.lowercase,
            strip_accents=self.vocabulary.strip_accents,
        )
        return self.tokenizer(words)

    def pack(self, segments: tuple[tf.RaggedTensor, ...]) -> dict:
        """Truncates, adds [CLS] and [SEP], and pads to the longest text.

        Args:
            segments: one or two <int32>[batch, (pieces)].

        Returns:
            token_ids, segment_ids and padding_mask, each
            <int32>[batch, longest], where longest <= sequence_length.
        """
        segments = _trim(segments, self.sequence_length - len(segments) - 1)
        token_ids, segment_ids = self._packer(segments)
        padding_mask = tf.cast(
            token_ids != self.tokenizer.pad_token_id, tf.int32
        )
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
    segments: tuple[tf.RaggedTensor, ...], budget: int
) -> tuple[tf.RaggedTensor, ...]:
    """Cuts segments to `budget` pieces in all, as RoundRobinTrimmer does.

    A round robin deals the places one by one, the first segment first: of two
    segments the shorter keeps up to half the places, the other the rest.
    """
    if len(segments) == 1:
        return (segments[0][:, :budget],)
    first, second = segments
    second_lengths = second.row_lengths()
    half_up = tf.constant((budget + 1) // 2, second_lengths.dtype)
    first_keeps = tf.maximum(half_up, budget - second_lengths)
    first = _keep(first, first_keeps)
    return first, _keep(second, budget - first.row_lengths())


def _keep(ragged: tf.RaggedTensor, lengths: tf.Tensor) -> tf.RaggedTensor:
    """Keeps the first `lengths` <int64>[batch] values of each row."""
    positions = tf.ragged.range(ragged.row_lengths()).flat_values
    limits = tf.gather(lengths, ragged.value_rowids())
    kept = ragged.with_values(positions < limits)
    return tf.ragged.boolean_mask(ragged, kept)
