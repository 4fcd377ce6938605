"""A vocabulary, its files, and its check against a checkpoint."""

import dataclasses
import os
from collections.abc import Sequence
from typing import NamedTuple

from bert_tf import files, run_dir
from bert_tf.errors import InputError

WORD_PIECE, BYTE_PAIR = "word_piece", "byte_pair"
SENTENCE_PIECE = "sentence_piece"


class SpecialTokens(NamedTuple):
    """What each is called, or its id."""

    padding: str | int
    unknown: str | int
    start: str | int
    end: str | int
    mask: str | int


# Of tokens. Of English texts with an English vocabulary it is below 0.1%.
LARGE_UNKNOWN_SHARE = 0.02
SPECIAL_TOKENS = SpecialTokens("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_SPECIAL_TOKENS = {
    WORD_PIECE: SPECIAL_TOKENS,
    BYTE_PAIR: SpecialTokens("<pad>", "<unk>", "<s>", "</s>", "<mask>"),
    SENTENCE_PIECE: SpecialTokens("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"),
}
# Where the rules are kept that a kind needs beside its tokens, as Transformers
# calls the files.
MODEL_FILES = {BYTE_PAIR: "merges.txt", SENTENCE_PIECE: "spiece.model"}
_SETTINGS = "tokenizer.json"
# Checkpoints round their embedding table up to a multiple of at most this.
_LARGEST_ROUNDING = 128


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """The tokens in the order of their ids, and how text meets them.

    Attributes:
        tokens: by id.
        lowercase: whether text is lower-cased.
        strip_accents: whether accents are dropped.
        kind: word_piece, byte_pair or sentence_piece.
        model: of the other kinds, what MODEL_FILES names.
        prefix_space: of byte pairs, whether texts start with a space.
    """

    tokens: tuple[str, ...]
    lowercase: bool
    strip_accents: bool
    kind: str = WORD_PIECE
    model: bytes = b""
    prefix_space: bool = False

    @property
    def special(self) -> SpecialTokens:
        """What this kind calls its special tokens."""
        return _SPECIAL_TOKENS[self.kind]

    @property
    def special_ids(self) -> SpecialTokens:
        """Their ids."""
        return SpecialTokens(*map(self.tokens.index, self.special))

    @property
    def separators(self) -> int:
        """How many tokens end the first of two texts."""
        return 2 if self.kind == BYTE_PAIR else 1


def read_tokens(path: str) -> tuple[str, ...]:
    """Reads a vocab.txt: one token a line, the line number being the id."""
    with files.open_file(path, "rb") as file:
        text = file.read().decode("utf-8")
    # Not splitlines(): vocabularies hold characters such as U+2028.
    return tuple(
        line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")
    )


def write_tokens(path: str, tokens: Sequence[str]) -> None:
    """Writes what `read_tokens` reads."""
    with files.open_file(path, "w") as file:
        file.write("".join(f"{token}\n" for token in tokens))


def write_vocabulary(folder: str, vocabulary: Vocabulary) -> None:
    """Writes a vocabulary and how text meets it."""
    write_tokens(os.path.join(folder, run_dir.VOCABULARY), vocabulary.tokens)
    settings = {
        "lowercase": vocabulary.lowercase,
        "strip_accents": vocabulary.strip_accents,
    }
    if vocabulary.kind != WORD_PIECE:
        settings["kind"] = vocabulary.kind
        settings["prefix_space"] = vocabulary.prefix_space
        path = os.path.join(folder, MODEL_FILES[vocabulary.kind])
        with open(path, "wb") as file:
            file.write(vocabulary.model)
    run_dir.write_json(os.path.join(folder, _SETTINGS), settings)


def read_vocabulary(folder: str) -> Vocabulary:
    """Reads what `write_vocabulary` wrote."""
    settings = run_dir.read_json(os.path.join(folder, _SETTINGS))
    kind = settings.get("kind", WORD_PIECE)
    if kind != WORD_PIECE:
        with open(os.path.join(folder, MODEL_FILES[kind]), "rb") as file:
            settings["model"] = file.read()
    return Vocabulary(
        read_tokens(os.path.join(folder, run_dir.VOCABULARY)), **settings
    )


def check_vocabulary(
    vocabulary: Vocabulary, *, embedding_rows: int, source: str
) -> None:
    """Raises InputError unless the tokens fit a checkpoint's embedding."""
    tokens = vocabulary.tokens
    missing = [token for token in vocabulary.special if token not in tokens]
    if missing:
        model = "BERT" if vocabulary.kind == WORD_PIECE else vocabulary.kind
        raise InputError(
            f"the vocabulary of {source} lacks {', '.join(missing)}; it is "
            f"not a {model} vocabulary"
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
