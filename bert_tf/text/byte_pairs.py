"""Byte-level BPE as in RoBERTa's tokenizer, in the graph.

KerasNLP has it, too (`RobertaTokenizer`). Its splitting differs from the
`tokenizers` package's for many kinds of white space, it drops one digit that it
uses as a mark, takes special tokens out of texts, and remembers every word that
it ever met, which would grow in a server. Here whole numbers are merged, by
core operations without a state.
"""

import numpy as np
import tensorflow as tf

from bert_tf.errors import InputError
from bert_tf.text import normalization
from bert_tf.text.vocabulary import BYTE_PAIR, Vocabulary

# Unicode's White_Space, as code points in hexadecimal.
_SPACE = "9-D 20 85 A0 1680 2000-200A 2028-2029 202F 205F 3000"
_S = normalization.characters(_SPACE)
# No text holds it: a code point that never is a character.
_MARK = normalization.UNKNOWN_WORD
# GPT-2's words. Of its pattern RE2 lacks `\s+(?!\S)`: a mark stands before the
# last white space of those between words instead.
_LAST_SPACE = rf"([{_S}])([^{_S}])"
_WORD = (
    r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+"
    rf"| ?[^{_S}\p{{L}}\p{{N}}{_MARK}]+|[{_S}]+"
)


def byte_letters() -> list[str]:
    """Returns the letter that stands for each byte in a vocabulary.

    Bytes that are no visible letter of Latin-1 are those from U+0100 on.
    """
    visible = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [
        chr(byte if byte in visible else next(others)) for byte in range(256)
    ]


def readable(tokens: tuple[str, ...]) -> list[str]:
    """Returns tokens as WordPiece writes them: ## where no word starts."""
    byte_of = {letter: byte for byte, letter in enumerate(byte_letters())}
    texts = []
    for token in tokens:
        text = token
        if all(letter in byte_of for letter in token):
            text = bytes(byte_of[letter] for letter in token).decode(
                "utf-8", "replace"
            )
            text = "".join(c if c.isprintable() else "\ufffd" for c in text)
        texts.append(text[1:] if text[:1] == " " else f"##{text}")
    return texts


def words(texts: tf.Tensor, *, prefix_space: bool) -> tf.RaggedTensor:
    """Splits texts <string>[batch] into <string>[batch, (words)].

    Args:
        texts: UTF-8; bytes that are not are dropped.
        prefix_space: texts start with a space, as every other word does.
    """
    texts = normalization.valid_utf8(texts)
    texts = tf.strings.regex_replace(texts, _MARK, "")
    if prefix_space:
        texts = tf.strings.regex_replace(texts, "^([^ ])", r" \1")
    texts = tf.strings.regex_replace(texts, _LAST_SPACE, rf"{_MARK}\1\2")
    texts = tf.strings.regex_replace(texts, _WORD, rf"{_MARK}\0")
    pieces = tf.strings.split(texts, _MARK)
    return tf.ragged.boolean_mask(pieces, tf.strings.length(pieces) > 0)


def build_vocabulary(
    ids: dict[str, int], model: bytes, *, prefix_space: bool, source: str
) -> Vocabulary:
    """Returns the vocabulary of a vocab.json and a merges.txt.

    Raises:
        InputError: they are not of byte-level BPE, or not of one another.
    """
    tokens = tuple(sorted(ids, key=ids.get))
    if [ids[token] for token in tokens] != list(range(len(tokens))):
        raise InputError(
            f"the vocabulary of {source} does not number its tokens from 0 on"
        )
    missing = [letter for letter in byte_letters() if letter not in ids]
    if missing:
        raise InputError(
            f"the vocabulary of {source} lacks {len(missing)} of the 256 "
            f"bytes, such as {missing[0]!r}; it is not one of byte-level BPE"
        )
    for line in merges(model):
        parts = line.split(" ")
        if len(parts) != 2 or not {*parts, "".join(parts)} <= ids.keys():
            raise InputError(
                f"the merge {line!r} of {source} does not go with its "
                "vocabulary"
            )
    return Vocabulary(
        tokens,
        lowercase=False,
        strip_accents=False,
        kind=BYTE_PAIR,
        model=model,
        prefix_space=prefix_space,
    )


class BytePairTokenizer:
    """From texts <string>[batch] to ids <int32>[batch, (pieces)]."""

    def __init__(self, vocabulary: Vocabulary):
        """Takes the merges, best first, from `vocabulary.model`."""
        ids = {token: i for i, token in enumerate(vocabulary.tokens)}
        self._prefix_space = vocabulary.prefix_space
        self._byte_ids = np.array([ids[letter] for letter in byte_letters()])
        self._size = len(ids)
        pairs = {}
        for rank, line in enumerate(merges(vocabulary.model)):
            first, second = line.split(" ")
            key = ids[first] * self._size + ids[second]
            pairs.setdefault(key, (rank, ids[first + second]))
        # Looked up by halving; beyond the last there is none.
        self._keys = np.array([*sorted(pairs), np.iinfo(np.int64).max])
        values = [pairs[key] for key in sorted(pairs)]
        self._ranks, self._merged = np.array([*values, (0, 0)]).T

    def __call__(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Tokenizes; special tokens typed in a text are plain text."""
        split = words(texts, prefix_space=self._prefix_space)
        unique, places = tf.unique(split.flat_values, tf.int64)
        letters = tf.strings.bytes_split(unique)
        bytes_ = tf.reshape(
            tf.io.decode_raw(letters.flat_values, tf.uint8), [-1]
        )
        pieces, word_index = tf.while_loop(
            lambda pieces, word_index, going: going,
            self._merge,
            (
                tf.gather(self._byte_ids, tf.cast(bytes_, tf.int32)),
                letters.value_rowids(),
                tf.size(bytes_) > 1,
            ),
            shape_invariants=(
                tf.TensorShape([None]),
                tf.TensorShape([None]),
                tf.TensorShape([]),
            ),
        )[:2]
        of_words = tf.gather(
            tf.RaggedTensor.from_value_rowids(
                tf.cast(pieces, tf.int32), word_index, tf.size(unique, tf.int64)
            ),
            places,
        )
        return tf.RaggedTensor.from_row_splits(
            of_words.flat_values,
            tf.gather(of_words.row_splits, split.row_splits),
        )

    def _merge(self, pieces, word_index, going):
        """Merges the best pair of each word, wherever it is in that word.

        Args:
            pieces: <int64>[pieces] of all words.
            word_index: <int64>[pieces], whose they are, ascending.
            going: <bool>[], whether anything may be left.
        """
        del going
        keys = pieces[:-1] * self._size + pieces[1:]
        at = tf.searchsorted(tf.constant(self._keys), keys)
        is_pair = (tf.gather(self._keys, at) == keys) & (
            word_index[:-1] == word_index[1:]
        )
        ranks = tf.where(is_pair, tf.gather(self._ranks, at), tf.int64.max)
        best = tf.math.segment_min(ranks, word_index[:-1])
        is_best = is_pair & (ranks == tf.gather(best, word_index[:-1]))
        # Of pairs that overlap (a a a) every other one, from the first.
        number = tf.range(tf.size(is_best))
        starts = is_best & ~tf.concat([[False], is_best[:-1]], 0)
        run = tf.cumsum(tf.cast(starts, tf.int32)) - 1
        first = tf.gather(
            tf.concat([tf.cast(tf.where(starts)[:, 0], tf.int32), [0]], 0),
            tf.maximum(run, 0),
        )
        is_best &= (number - first) % 2 == 0
        none = tf.constant([False])
        merged = tf.where(is_best, tf.gather(self._merged, at), 0)
        pieces = tf.where(
            tf.concat([is_best, none], 0),
            tf.concat([merged, [0]], 0),
            pieces,
        )
        stays = ~tf.concat([none, is_best], 0)
        return (
            tf.boolean_mask(pieces, stays),
            tf.boolean_mask(word_index, stays),
            tf.reduce_any(is_best) & tf.reduce_any(stays[1:]),
        )


def merges(model: bytes) -> list[str]:
    """Returns the lines of a merges.txt that are merges."""
    lines = model.decode("utf-8").split("\n")
    return [
        line.removesuffix("\r")
        for line in lines
        if line.strip() and not line.startswith("#version")
    ]
