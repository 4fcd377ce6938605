"""Tokenized documents and their boundaries."""

import dataclasses
import hashlib
from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from bert_tf.errors import InputError
from bert_tf.pretraining import documents as documents_lib
from bert_tf.text.preprocessor import Preprocessor

_TOKENIZE_BATCH_SIZE = 1024


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Tokenized documents, one after the other: 4 bytes per token.

    Attributes:
        token_ids: <int32>[all tokens].
        sentence_starts: <int64>[sentences + 1], in tokens; the end is last.
        document_starts: <int64>[documents + 1], in sentences.
    """

    token_ids: np.ndarray
    sentence_starts: np.ndarray
    document_starts: np.ndarray

    @property
    def document_lengths(self) -> np.ndarray:
        """<int64>[documents], in tokens."""
        return np.diff(self.sentence_starts[self.document_starts])

    @property
    def sentence_counts(self) -> np.ndarray:
        """<int64>[documents], sentences of each."""
        return np.diff(self.document_starts)

    def fingerprint(self) -> str:
        """Returns size and digest, to tell another corpus by."""
        digest = hashlib.sha256(self.token_ids.tobytes())
        digest.update(self.sentence_starts.tobytes())
        digest.update(self.document_starts.tobytes())
        return f"{len(self.token_ids)} tokens, {digest.hexdigest()[:16]}"

    def describe(self) -> str:
        """Says the size in one line."""
        return (
            f"{len(self.document_lengths):,} documents, "
            f"{len(self.sentence_starts) - 1:,} sentences, "
            f"{len(self.token_ids):,} tokens"
        )


def read_corpora(
    preprocessor: Preprocessor,
    documents: Iterable[str],
    *,
    held_out_share: float,
    seed: int,
    needs_held_out: bool = True,
) -> tuple[Corpus, Corpus]:
    """Tokenizes documents, and sets some of them apart as held out.

    Args:
        preprocessor: its sequence length decides how long a sentence may be:
            longer ones are cut, so that any two make an input.
        documents: raw texts.
        held_out_share: share of the documents that is held out.
        seed: of the choice, see `documents.is_held_out`.
        needs_held_out: whether the held-out one must not be empty.

    Returns:
        The corpus to train on and the held-out one.

    Raises:
        InputError: one of them is empty.
    """
    parts = {
        name: _tokenize(preprocessor, documents_of_part)
        for name, documents_of_part in _part(documents, held_out_share, seed)
    }
    if not len(parts["train"].token_ids):
        raise InputError("--train_file has no text")
    if needs_held_out and not len(parts["held_out"].token_ids):
        raise InputError(
            f"no document is held out: there are too few for "
            f"--validation_split={held_out_share:g}. In .txt files blank "
            "lines divide documents"
        )
    return parts["train"], parts["held_out"]


def read_corpus(preprocessor: Preprocessor, documents: Iterable[str]) -> Corpus:
    """Tokenizes documents; InputError where there is no text."""
    corpus = _tokenize(preprocessor, list(documents))
    if not len(corpus.token_ids):
        raise InputError("--validation_file has no text")
    return corpus


def _part(documents, share, seed):
    parts = {"train": [], "held_out": []}
    for document in documents:
        held_out = documents_lib.is_held_out(document, share=share, seed=seed)
        parts["held_out" if held_out else "train"].append(document)
    return parts.items()


def _tokenize(preprocessor: Preprocessor, documents: list[str]) -> Corpus:
    texts: list[bytes] = []
    counts = []
    for document in documents:
        sentences = documents_lib.sentences(document)
        counts.append(len(sentences))
        texts.extend(sentence.encode() for sentence in sentences)
    if not texts:
        none = np.zeros(1, np.int64)
        return Corpus(np.zeros(0, np.int32), none, none)
    dataset = tf.data.Dataset.from_tensor_slices(texts)
    dataset = dataset.batch(_TOKENIZE_BATCH_SIZE)

    def tokenize(batch):
        pieces = preprocessor.tokenize(batch)
        return pieces.flat_values, pieces.row_lengths()

    batches = list(
        dataset.map(
            tokenize, num_parallel_calls=tf.data.AUTOTUNE
        ).as_numpy_iterator()
    )
    lengths = np.concatenate([lengths for _, lengths in batches])
    document_of_sentence = np.repeat(np.arange(len(counts)), counts)
    # Of two, [CLS] and the two [SEP].
    longest = max(1, (preprocessor.sequence_length - 3) // 2)
    lengths, document_of_sentence = _cut(lengths, document_of_sentence, longest)
    lengths, document_of_sentence = _halve_lonely(lengths, document_of_sentence)
    _, counts = np.unique(document_of_sentence, return_counts=True)
    return Corpus(
        np.concatenate([ids for ids, _ in batches]).astype(np.int32),
        _starts(lengths),
        _starts(counts),
    )


def _cut(
    lengths: np.ndarray, documents: np.ndarray, longest: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cuts long sentences into pieces, and drops empty ones."""
    pieces = -(-lengths // longest)
    rows = np.repeat(np.arange(len(lengths)), pieces)
    number = np.arange(len(rows)) - np.repeat(_starts(pieces)[:-1], pieces)
    # As even as they can be.
    ends = (number + 1) * lengths[rows] // pieces[rows]
    starts = number * lengths[rows] // pieces[rows]
    return ends - starts, documents[rows]


def _halve_lonely(
    lengths: np.ndarray, documents: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Halves the only sentence of a document: a pair needs two."""
    _, inverse, counts = np.unique(
        documents, return_inverse=True, return_counts=True
    )
    pieces = np.where((counts[inverse] == 1) & (lengths > 1), 2, 1)
    rows = np.repeat(np.arange(len(lengths)), pieces)
    is_second = np.diff(rows, prepend=-1) == 0
    half = lengths[rows] // 2
    halved = np.where(is_second, half, lengths[rows] - half)
    return np.where(pieces[rows] == 2, halved, lengths[rows]), documents[rows]


def _starts(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
