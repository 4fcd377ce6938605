"""The tokenizer of a vocabulary, by its kind."""

from collections.abc import Callable

from bert_tf.errors import InputError
from bert_tf.text import byte_pairs, sentence_pieces
from bert_tf.text import vocabulary as vocabulary_lib
from bert_tf.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from bert_tf.text.word_pieces import WordPieceTokenizer

_TOKENIZERS = {
    vocabulary_lib.WORD_PIECE: WordPieceTokenizer,
    vocabulary_lib.BYTE_PAIR: byte_pairs.BytePairTokenizer,
    vocabulary_lib.SENTENCE_PIECE: sentence_pieces.SentencePieceTokenizer,
}
_READABLE = {
    vocabulary_lib.WORD_PIECE: list,
    vocabulary_lib.BYTE_PAIR: byte_pairs.readable,
    vocabulary_lib.SENTENCE_PIECE: sentence_pieces.readable,
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
    found = _READABLE[vocabulary.kind](vocabulary.tokens)
    names = dict(zip(vocabulary.special, SPECIAL_TOKENS, strict=True))
    return tuple(
        names.get(token, text)
        for token, text in zip(vocabulary.tokens, found, strict=True)
    )


def check_places(vocabulary: Vocabulary, *, preset: str, task: str) -> None:
    """Raises InputError unless it is known where in a text pieces are."""
    if vocabulary.kind != vocabulary_lib.WORD_PIECE:
        raise InputError(
            f"--task={task} needs to know where in a text each piece is, which "
            f"is known of WordPiece only; the vocabulary of --preset={preset} "
            f"is of the kind {vocabulary.kind}. Take a BERT, DistilBERT or "
            "ELECTRA"
        )
