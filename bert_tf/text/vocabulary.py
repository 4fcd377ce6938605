"""A WordPiece vocabulary and whether it is one."""

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from bert_tf.errors import InputError

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# Checkpoints round their embedding table up to a multiple of at most this.
_LARGEST_ROUNDING = 128


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """The tokens in the order of their ids, and how text meets them."""

    tokens: tuple[str, ...]
    lowercase: bool
    strip_accents: bool


def read_tokens(path: str) -> tuple[str, ...]:
    """Reads a vocab.txt: one token a line, the line number being the id."""
    with tf.io.gfile.GFile(path, "rb") as file:
        text = file.read().decode("utf-8")
    # Not splitlines(): vocabularies hold characters such as U+2028.
    return tuple(
        line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")
    )


def write_tokens(path: str, tokens: Sequence[str]) -> None:
    """Writes what `read_tokens` reads."""
    with tf.io.gfile.GFile(path, "w") as file:
        file.write("".join(f"{token}\n" for token in tokens))


def check_vocabulary(
    tokens: Sequence[str], *, embedding_rows: int, source: str
) -> None:
    """Raises InputError unless the tokens fit a checkpoint's embedding."""
    missing = [token for token in SPECIAL_TOKENS if token not in tokens]
    if missing:
        raise InputError(
            f"the vocabulary of {source} lacks {', '.join(missing)}; it is "
            "not a BERT vocabulary"
        )
    if len(set(tokens)) < len(tokens):
        twice = next(t for i, t in enumerate(tokens) if t in tokens[:i])
        raise InputError(f"the vocabulary of {source} holds {twice!r} twice")
    if not 0 <= embedding_rows - len(tokens) < _LARGEST_ROUNDING:
        raise InputError(
            f"the vocabulary of {source} has {len(tokens):,} tokens but its "
            f"checkpoint has embeddings for {embedding_rows:,}: they do not "
            "belong together"
        )
