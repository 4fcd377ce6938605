"""WordPiece and SentencePiece tokenizers, and the choice by vocabulary."""

from collections.abc import Callable

import keras_nlp
import tensorflow as tf
import tensorflow_text as tf_text

from bert_tf.errors import InputError
from bert_tf.text import byte_pairs, normalization, offsets
from bert_tf.text import vocabulary as vocabulary_lib
from bert_tf.text.vocabulary import SPECIAL_TOKENS, Vocabulary

# What starts a word.
_SPACE = "\u2581"


def _readable_sentence_pieces(tokens: tuple[str, ...]) -> list[str]:
    """Returns tokens as WordPiece writes them: ## where no word starts."""
    return [
        token[1:] if token[:1] == _SPACE else f"##{token}" for token in tokens
    ]


class SentencePieceTokenizer:
    """From texts <string>[batch] to ids <int32>[batch, (pieces)]."""

    def __init__(self, vocabulary: Vocabulary):
        """Takes the model from `vocabulary.model`."""
        self._vocabulary = vocabulary
        # Holds a resource, which is to be saved with a graph.
        self.resource = tf_text.SentencepieceTokenizer(vocabulary.model)

    def __call__(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Tokenizes after what ALBERT's own tokenizer does to a text."""
        texts = normalization.valid_utf8(texts)
        # TensorFlow Text would cut a text there.
        texts = tf.strings.regex_replace(texts, r"\x00", "")
        texts = tf.strings.regex_replace(texts, "``|''", '"')
        if self._vocabulary.strip_accents:
            texts = tf_text.normalize_utf8(texts, "NFKD")
            texts = normalization.remove_accents(texts)
        if self._vocabulary.lowercase:
            texts = normalization.to_lower_case(texts)
        return self.resource.tokenize(texts)


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

    def with_offsets(self, texts: tf.Tensor) -> offsets.PiecesWithOffsets:
        """Returns the same ids, and where they are."""
        return offsets.tokenize(
            texts, self._lookup.pieces, **self._normalization
        )


_TOKENIZERS = {
    vocabulary_lib.WORD_PIECE: WordPieceTokenizer,
    vocabulary_lib.BYTE_PAIR: byte_pairs.BytePairTokenizer,
    vocabulary_lib.SENTENCE_PIECE: SentencePieceTokenizer,
}
_READABLE = {
    vocabulary_lib.WORD_PIECE: list,
    vocabulary_lib.BYTE_PAIR: byte_pairs.readable,
    vocabulary_lib.SENTENCE_PIECE: _readable_sentence_pieces,
}


def build_tokenizer(vocabulary: Vocabulary) -> Callable:
    """Returns a function from texts <string>[batch], for a graph.

    It returns ids <int32>[batch, (pieces)], without special tokens.
    """
    return _TOKENIZERS[vocabulary.kind](vocabulary)


def readable_tokens(vocabulary: Vocabulary) -> tuple[str, ...]:
    """Returns the tokens as WordPiece would write them, by their ids.

    What continues a word starts with ##, and special tokens are BERT's.
    """
    readable = _READABLE[vocabulary.kind](vocabulary.tokens)
    names = dict(zip(vocabulary.special, SPECIAL_TOKENS, strict=True))
    return tuple(
        names.get(token, text)
        for token, text in zip(vocabulary.tokens, readable, strict=True)
    )


def check_offsets(vocabulary: Vocabulary, *, preset: str, task: str) -> None:
    """Raises InputError unless it is known where in a text pieces are."""
    if vocabulary.kind != vocabulary_lib.WORD_PIECE:
        raise InputError(
            f"--task={task} needs to know where in a text each piece is, which "
            f"is known of WordPiece only; the vocabulary of --preset={preset} "
            f"is of the kind {vocabulary.kind}. Take a BERT, DistilBERT or "
            "ELECTRA"
        )
