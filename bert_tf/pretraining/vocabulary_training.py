"""Trains a WordPiece vocabulary with the `tokenizers` package."""

import collections
import os
from collections.abc import Sequence

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, trainers

from bert_tf import run_dir
from bert_tf.errors import InputError
from bert_tf.text import vocabulary as vocabulary_lib
from bert_tf.text.vocabulary import SPECIAL_TOKENS, Vocabulary

# Rarer characters become [UNK]: a CJK corpus has tens of thousands, most of
# them met once. Transformers' and the package's own examples use the number.
_MOST_CHARACTERS = 1000


def train_vocabulary(
    documents: Sequence[str],
    *,
    size: int,
    lowercase: bool,
    reserved_tokens: Sequence[str] = (),
    min_frequency: int = 2,
) -> Vocabulary:
    """Learns word pieces as https://arxiv.org/abs/1609.08144 merges them.

    Args:
        documents: raw text.
        size: tokens at most, special and reserved ones included.
        lowercase: drop case and accents (an uncased vocabulary).
        reserved_tokens: after the special tokens, for later use.
        min_frequency: pairs of pieces that are rarer are not joined.

    Raises:
        InputError: there is no text, or too small a size for its characters.
    """
    fixed = [*SPECIAL_TOKENS, *reserved_tokens]
    if len(set(fixed)) < len(fixed):
        raise InputError("--reserved_tokens names a token twice")
    tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=True,
        strip_accents=lowercase,
        lowercase=lowercase,
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    characters, continuing = _characters(
        tokenizer, documents, min(_MOST_CHARACTERS, max(1, size // 4))
    )
    # Among the special tokens the continuing characters have fixed ids; the
    # package would number them in the order of a hash table, by which it
    # breaks ties: another vocabulary each time.
    fixed += [f"##{character}" for character in continuing]
    tokenizer.train_from_iterator(
        documents,
        trainers.WordPieceTrainer(
            vocab_size=size,
            min_frequency=min_frequency,
            special_tokens=fixed,
            limit_alphabet=len(characters),
            initial_alphabet=characters,
            continuing_subword_prefix="##",
            show_progress=False,
        ),
    )
    ids = tokenizer.get_vocab()
    tokens = tuple(sorted(ids, key=ids.get))
    if len(tokens) > size:
        raise InputError(
            f"--vocab_size={size} is too small: the text has so many "
            f"characters that {len(tokens)} tokens are needed"
        )
    return Vocabulary(tokens, lowercase, strip_accents=lowercase)


def _characters(
    tokenizer: tokenizers.Tokenizer, documents: Sequence[str], most: int
) -> tuple[list[str], list[str]]:
    """Returns the commonest characters, and those that occur inside words."""
    counts: collections.Counter = collections.Counter()
    inside: set[str] = set()
    for document in documents:
        normal = tokenizer.normalizer.normalize_str(document)
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal):
            counts.update(word)
            inside.update(word[1:])
    if not counts:
        raise InputError("the files have no text to learn a vocabulary from")
    ranked = sorted(
        counts, key=lambda character: (-counts[character], character)
    )
    chosen = sorted(ranked[:most])
    return chosen, [character for character in chosen if character in inside]


def write_vocabulary(folder: str, vocabulary: Vocabulary) -> str:
    """Writes vocab.txt and tokenizer_config.json, as Transformers reads them.

    Returns:
        The path of vocab.txt.
    """
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, run_dir.VOCABULARY)
    run_dir.write_json(
        os.path.join(folder, "tokenizer_config.json"),
        {
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": vocabulary.lowercase,
            "strip_accents": vocabulary.strip_accents,
        },
    )
    with run_dir.written_aside(path) as aside:
        vocabulary_lib.write_tokens(aside, vocabulary.tokens)
    return path
