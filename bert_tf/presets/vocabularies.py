"""Vocabularies in Transformers' and KerasNLP's folders."""

import json
import os

import keras_nlp

from bert_tf import run_dir
from bert_tf.errors import InputError
from bert_tf.models import backbones
from bert_tf.text import byte_pairs
from bert_tf.text import vocabulary as vocabulary_lib
from bert_tf.text.vocabulary import SENTENCE_PIECE, Vocabulary

_TOKENIZER_CONFIG = "tokenizer_config.json"
# What KerasNLP's folders do not say.
_OWN = "bert_tf.json"


def read_transformers(name: str, folder: str, kind: str) -> Vocabulary:
    """Reads the vocabulary of a Transformers folder.

    Args:
        name: of the preset, for messages.
        folder: holds it.
        kind: the model_type of its config.json.

    Raises:
        InputError: it is not there, or damaged.
    """
    if kind == "roberta":
        config = _tokenizer_config(folder)
        prefix_space = config.get("add_prefix_space", False)
        whole = os.path.join(folder, "tokenizer.json")
        files = ("vocab.json", "merges.txt")
        if os.path.exists(whole) and not any(
            os.path.exists(os.path.join(folder, file)) for file in files
        ):
            return _read_whole_byte_pairs(
                name, whole, prefix_space=prefix_space
            )
        return _read_byte_pairs(name, folder, *files, prefix_space=prefix_space)
    if kind == "albert":
        return _read_sentence_pieces(name, folder)
    return read_word_pieces(_existing(name, folder, "vocab.txt"))


def read_keras(name: str, folder: str, class_name: str) -> Vocabulary:
    """Reads the vocabulary of a KerasNLP folder; as `read_transformers`."""
    config = read_config(name, os.path.join(folder, "tokenizer.json"))["config"]
    assets = os.path.join("assets", "tokenizer")
    if class_name == backbones.ROBERTA:
        files = ("vocabulary.json", "merges.txt")
        return _read_byte_pairs(
            name,
            folder,
            *(os.path.join(assets, file) for file in files),
            prefix_space=config.get("add_prefix_space", False),
        )
    if class_name == backbones.ALBERT:
        path = os.path.join(assets, "vocabulary.spm")
        # Its tokenizer takes texts as they are.
        return _sentence_pieces(_existing(name, folder, path), False, False)
    path = _existing(name, folder, os.path.join(assets, "vocabulary.txt"))
    # KerasNLP stores strip_accents=False for uncased vocabularies too, whose
    # tokens were made from text without accents; `save_preset` says so apart.
    lowercase = config.get("lowercase", False)
    return Vocabulary(
        vocabulary_lib.read_tokens(path),
        lowercase,
        read_own(folder).get("strip_accents", lowercase),
    )


def write_own(folder: str, **values) -> None:
    """Writes what KerasNLP's files do not say: strip_accents, has_pooler."""
    run_dir.write_json(os.path.join(folder, _OWN), values)


def read_own(folder: str) -> dict:
    """Reads what `write_own` wrote; of others' folders nothing."""
    path = os.path.join(folder, _OWN)
    return run_dir.read_json(path) if os.path.exists(path) else {}


def read_word_pieces(path: str) -> Vocabulary:
    """Reads a vocab.txt and the tokenizer_config.json beside it, if any.

    Uncased without one, as Transformers takes it.
    """
    config = _tokenizer_config(os.path.dirname(path))
    lowercase = config.get("do_lower_case", True)
    strip_accents = config.get("strip_accents")
    if strip_accents is None:
        strip_accents = lowercase
    return Vocabulary(
        vocabulary_lib.read_tokens(path), lowercase, strip_accents
    )


def read_config(name: str, path: str) -> dict:
    """Reads a JSON file of a preset's folder.

    Raises:
        InputError: it is not there, or no JSON.
    """
    try:
        return run_dir.read_json(path)
    except FileNotFoundError:
        raise InputError(
            f"--preset={name}: the folder has no {os.path.basename(path)}"
        ) from None
    except json.JSONDecodeError as error:
        raise InputError(f"--preset={name}: {path}: {error}") from None


def _read_byte_pairs(
    name: str, folder: str, tokens: str, merges: str, *, prefix_space: bool
) -> Vocabulary:
    ids = read_config(name, _existing(name, folder, tokens))
    with open(_existing(name, folder, merges), "rb") as file:
        return byte_pairs.build_vocabulary(
            ids, file.read(), prefix_space=prefix_space, source=name
        )


def _read_whole_byte_pairs(
    name: str, path: str, *, prefix_space: bool
) -> Vocabulary:
    """Reads a tokenizer.json, beside which Transformers 5 writes no other."""
    tokenizer = read_config(name, path)
    model = tokenizer.get("model", {})
    added = tokenizer.get("added_tokens", [])
    lines = (
        pair if isinstance(pair, str) else " ".join(pair)
        for pair in model.get("merges", ())
    )
    return byte_pairs.build_vocabulary(
        {
            **model.get("vocab", {}),
            **{token["content"]: token["id"] for token in added},
        },
        "\n".join(lines).encode(),
        prefix_space=prefix_space,
        source=name,
    )


def _read_sentence_pieces(name: str, folder: str) -> Vocabulary:
    path = _existing(name, folder, "spiece.model")
    config = _tokenizer_config(folder)
    return _sentence_pieces(
        path,
        config.get("do_lower_case", True),
        not config.get("keep_accents", False),
    )


def _sentence_pieces(path: str, lowercase: bool, strip_accents: bool):
    with open(path, "rb") as file:
        model = file.read()
    try:
        tokenizer = keras_nlp.tokenizers.SentencePieceTokenizer(proto=model)
    except Exception as error:  # noqa: BLE001 - two libraries read it
        raise InputError(f"{path} is no SentencePiece model") from error
    return Vocabulary(
        tuple(tokenizer.get_vocabulary()),
        lowercase,
        strip_accents,
        kind=SENTENCE_PIECE,
        model=model,
    )


def _tokenizer_config(folder: str) -> dict:
    path = os.path.join(folder, _TOKENIZER_CONFIG)
    return read_config(folder, path) if os.path.exists(path) else {}


def _existing(name: str, folder: str, file: str) -> str:
    path = os.path.join(folder, file)
    if not os.path.exists(path):
        raise InputError(f"--preset={name}: the folder has no {file}")
    return path
