"""Splits raw text into words as google-research/bert does, in the graph.

The order of `BasicTokenizer` in google-research/bert's tokenization.py: clean,
set CJK ideographs apart, strip accents, lower-case, set punctuation apart.
Where that and the `tokenizers` package (which Transformers uses) differ in a
character class, this follows the package.
"""

import tensorflow as tf
import tensorflow_text as tf_text

from bert_tf.text import unicode_ranges

# Longer words are one unknown token; tokenizers' and Transformers' limit
# (google-research/bert's own is 200).
MAX_WORD_CHARACTERS = 100
# What an over-long word becomes: a code point that never is a character, so
# that no vocabulary holds it.
UNKNOWN_WORD = "\U0010ffff"

# Upper-case letters that the reference lower-cases and the ICU library inside
# TensorFlow 2.21 does not know yet (Unicode 15 and later), with a lower-case
# letter that old vocabularies can hold. The other such letters lie outside
# every published vocabulary, where both give [UNK].
_LATE_LOWER_CASE = (("\ua7cb", "\u0264"), ("\ua7dc", "\u019b"))


def split_words(
    texts: tf.Tensor, *, lowercase: bool, strip_accents: bool
) -> tf.RaggedTensor:
    """Splits UTF-8 texts into the words that WordPiece then splits further.

    Args:
        texts: <string>[batch]; bytes that are not UTF-8 are dropped.
        lowercase: lower-case every character (uncased vocabularies).
        strip_accents: drop accents (uncased vocabularies but a few).

    Returns:
        <string>[batch, (words)]
    """
    texts = normalize(
        valid_utf8(texts), lowercase=lowercase, strip_accents=strip_accents
    )
    texts = tf.strings.regex_replace(
        texts, f"[^ ]{{{MAX_WORD_CHARACTERS + 1},}}", UNKNOWN_WORD
    )
    words = tf.strings.split(texts, " ")
    return tf.ragged.boolean_mask(words, tf.strings.length(words) > 0)


def valid_utf8(texts: tf.Tensor) -> tf.Tensor:
    """Returns texts <string>[...] without the bytes that are not UTF-8."""
    return tf.strings.unicode_transcode(
        texts, "UTF-8", "UTF-8", errors="ignore"
    )


def normalize(
    texts: tf.Tensor, *, lowercase: bool, strip_accents: bool
) -> tf.Tensor:
    """Returns texts <string>[...] whose words are set apart by spaces.

    Each character by itself gives what it gives within its text, whose
    characters' results one after the other are the text's. (Where accents are
    stripped, canonical order aside, which a few marks have that stay.)

    Args:
        texts: valid UTF-8.
        lowercase: as of `split_words`.
        strip_accents: as of `split_words`.
    """
    texts = remove_control(texts)
    texts = _replace(texts, unicode_ranges.WHITESPACE, " ")
    texts = _replace(texts, unicode_ranges.CJK_IDEOGRAPHS, r" \0 ")
    if strip_accents:
        texts = remove_accents(tf_text.normalize_utf8(texts, "NFD"))
    if lowercase:
        texts = to_lower_case(texts)
    return _replace(texts, unicode_ranges.PUNCTUATION, r" \0 ")


def remove_accents(texts: tf.Tensor) -> tf.Tensor:
    """Returns decomposed texts <string>[...] without accents."""
    return _replace(texts, unicode_ranges.NONSPACING_MARKS, "")


def to_lower_case(texts: tf.Tensor) -> tf.Tensor:
    """Returns texts <string>[...] with each letter in lower case."""
    # ICU lower-cases a word-final sigma to another letter; the reference
    # goes character by character.
    texts = tf.strings.regex_replace(texts, "Σ", "σ")
    for upper, lower in _LATE_LOWER_CASE:
        texts = tf.strings.regex_replace(texts, upper, lower)
    return tf.strings.lower(texts, encoding="utf-8")


def remove_control(texts: tf.Tensor) -> tf.Tensor:
    """Returns texts <string>[...] without control characters."""
    return _replace(texts, unicode_ranges.CONTROL, "")


def are_ideographs(characters: tf.Tensor) -> tf.Tensor:
    """Returns <bool>[...], whether each <string>[...] is a CJK ideograph."""
    return tf.strings.regex_full_match(
        characters, _character_class(unicode_ranges.CJK_IDEOGRAPHS)
    )


def _replace(texts: tf.Tensor, ranges: str, rewrite: str) -> tf.Tensor:
    return tf.strings.regex_replace(texts, _character_class(ranges), rewrite)


def _character_class(ranges: str) -> str:
    return f"[{characters(ranges)}]"


def characters(ranges: str) -> str:
    """Returns what an RE2 class has for ranges of hexadecimal code points."""
    parts = [
        "-".join(rf"\x{{{end}}}" for end in part.split("-"))
        for part in ranges.split()
    ]
    return "".join(parts)
