"""Writes a vocabulary as the files of Transformers' tokenizers."""

import os

import tokenizers
from tokenizers import (
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from bert_tf import run_dir
from bert_tf.text import byte_pairs, normalization
from bert_tf.text import vocabulary as vocabulary_lib
from bert_tf.text.vocabulary import Vocabulary

_CLASSES = {
    vocabulary_lib.WORD_PIECE: "BertTokenizer",
    vocabulary_lib.BYTE_PAIR: "RobertaTokenizer",
    vocabulary_lib.SENTENCE_PIECE: "AlbertTokenizer",
}
# What is said of it to those who load it.
COMPARED = (
    "Its tokenizer gives the ids that the SavedModel's does. Of two texts that "
    "are too long together, one may keep a token more."
)
# By the names of `SpecialTokens`.
_SPECIAL = {
    "padding": "pad_token",
    "unknown": "unk_token",
    "start": "cls_token",
    "end": "sep_token",
    "mask": "mask_token",
}


def write(folder: str, vocabulary: Vocabulary, *, max_length: int) -> None:
    """Writes tokenizer.json, tokenizer_config.json and the vocabulary.

    Args:
        max_length: where texts were cut, in tokens.
    """
    special = {
        name: getattr(vocabulary.special, key) for key, name in _SPECIAL.items()
    }
    config = {
        "tokenizer_class": _CLASSES[vocabulary.kind],
        "model_max_length": max_length,
        # Those that are typed in a text are plain text here.
        "split_special_tokens": True,
        "do_lower_case": vocabulary.lowercase,
        **special,
    }
    if vocabulary.kind == vocabulary_lib.BYTE_PAIR:
        config["add_prefix_space"] = vocabulary.prefix_space
        config |= {"bos_token": special["cls_token"]}
        config |= {"eos_token": special["sep_token"]}
        build_byte_pairs(vocabulary).save(_tokenizer_file(folder))
        ids = {token: i for i, token in enumerate(vocabulary.tokens)}
        run_dir.write_json(os.path.join(folder, "vocab.json"), ids)
        _write_model(folder, vocabulary)
    elif vocabulary.kind == vocabulary_lib.SENTENCE_PIECE:
        # Its tokenizer.json is made of this when it is loaded.
        config["keep_accents"] = not vocabulary.strip_accents
        _write_model(folder, vocabulary)
    else:
        config["strip_accents"] = vocabulary.strip_accents
        config["tokenize_chinese_chars"] = True
        build_word_pieces(vocabulary).save(_tokenizer_file(folder))
        vocabulary_lib.write_tokens(
            os.path.join(folder, run_dir.VOCABULARY), vocabulary.tokens
        )
    run_dir.write_json(os.path.join(folder, "tokenizer_config.json"), config)


def _tokenizer_file(folder: str) -> str:
    return os.path.join(folder, "tokenizer.json")


def _write_model(folder: str, vocabulary: Vocabulary) -> None:
    path = os.path.join(folder, vocabulary_lib.MODEL_FILES[vocabulary.kind])
    with open(path, "wb") as file:
        file.write(vocabulary.model)


def build_word_pieces(vocabulary: Vocabulary) -> tokenizers.Tokenizer:
    """Returns BERT's tokenizer of the `tokenizers` package."""
    special = vocabulary.special
    tokenizer = tokenizers.Tokenizer(
        models.WordPiece(
            {token: i for i, token in enumerate(vocabulary.tokens)},
            unk_token=special.unknown,
            max_input_chars_per_word=normalization.MAX_WORD_CHARACTERS,
        )
    )
    tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=vocabulary.lowercase, strip_accents=vocabulary.strip_accents
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ids = vocabulary.special_ids
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{special.start} $A {special.end}",
        pair=f"{special.start} $A {special.end} $B:1 {special.end}:1",
        special_tokens=[(special.start, ids.start), (special.end, ids.end)],
    )
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(list(special))
    return tokenizer


def build_byte_pairs(vocabulary: Vocabulary) -> tokenizers.Tokenizer:
    """Returns RoBERTa's tokenizer of the `tokenizers` package."""
    merges = [
        tuple(line.split(" ")) for line in byte_pairs.merges(vocabulary.model)
    ]
    ids_of = {token: i for i, token in enumerate(vocabulary.tokens)}
    tokenizer = tokenizers.Tokenizer(models.BPE(ids_of, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(
        add_prefix_space=vocabulary.prefix_space
    )
    special, ids = vocabulary.special, vocabulary.special_ids
    # By place: versions differ in what they call them.
    tokenizer.post_processor = processors.RobertaProcessing(
        (special.end, ids.end),
        (special.start, ids.start),
        True,
        vocabulary.prefix_space,
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(special))
    return tokenizer
