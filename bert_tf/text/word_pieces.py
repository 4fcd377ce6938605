"""WordPiece, as google-research/bert does it, in the graph.

KerasNLP's own splitting into words differs from google-research/bert's (case
folding, accents, spaces, control characters), so the words come from
`normalization` and its tokenizer only looks up their pieces.
"""

import keras_nlp
import tensorflow as tf
import tensorflow_text as tf_text

from bert_tf.text import normalization, offsets
from bert_tf.text.vocabulary import Vocabulary

# UTF-8 needs at most four bytes for a character.
_MAX_WORD_BYTES = 4 * normalization.MAX_WORD_CHARACTERS


class PieceLookup(keras_nlp.models.BertTokenizer):
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

    @property
    def pieces(self) -> tf_text.FastWordpieceTokenizer:
        """The lookup itself, which also tells where pieces are."""
        return self._fast_word_piece

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


class WordPieceTokenizer:
    """From texts <string>[batch] to ids <int32>[batch, (pieces)].

    Call it inside a tf.data map or a tf.function: KerasNLP's eager path is
    another implementation.
    """

    def __init__(self, vocabulary: Vocabulary):
        self._lookup = PieceLookup(list(vocabulary.tokens))
        self._normalization = {
            "lowercase": vocabulary.lowercase,
            "strip_accents": vocabulary.strip_accents,
        }

    def __call__(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Tokenizes; special tokens typed in a text are plain text."""
        return self._lookup(
            normalization.split_words(texts, **self._normalization)
        )

    def with_places(self, texts: tf.Tensor) -> offsets.PlacedPieces:
        """Returns the same ids, and where they are."""
        return offsets.tokenize(
            texts, self._lookup.pieces, **self._normalization
        )
