"""Transformers folders: DistilBERT, ELECTRA, RoBERTa, ALBERT; and BERT's.

DistilBERT (1910.01108) is BERT without segments and pooler; ELECTRA's
discriminator (2003.10555) is BERT without pooler, often with embeddings that
are narrower than its layers, as those of ALBERT (1909.11942) are, whose layers
share their weights. RoBERTa (1907.11692) has no segments. Segments are zeros
here, and a pooler starts anew: it is fine-tuned with the head.
"""

import os
from collections.abc import Iterator

import keras
import keras_nlp
import numpy as np
import safetensors
import safetensors.numpy

from bert_tf.errors import InputError
from bert_tf.models import backbones

KINDS = ("distilbert", "electra", "roberta", "albert")
NO_POOLER = ("distilbert", "electra")
WEIGHTS = "model.safetensors"
# What DistilBERT calls them.
_DISTILBERT = {
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}
# What ALBERT calls them.
_ALBERT = {
    "attention.self.query": "attention.query",
    "attention.self.key": "attention.key",
    "attention.self.value": "attention.value",
    "attention.output.dense": "attention.dense",
    "attention.output.LayerNorm": "attention.LayerNorm",
    "intermediate.dense": "ffn",
    "output.dense": "ffn_output",
    "output.LayerNorm": "full_layer_layer_norm",
}
_PARTS = {"distilbert": _DISTILBERT, "albert": _ALBERT}
# One function, or its approximation, which is what is computed.
_ACTIVATIONS = ("gelu", "gelu_new", "gelu_python", "gelu_pytorch_tanh",
                "gelu_fast")  # fmt: skip
POSITIONS = "embeddings.position_embeddings.weight"
SEGMENTS = "embeddings.token_type_embeddings.weight"


def backbone_class(config: dict) -> type:
    """Returns the class for what config.json holds."""
    name = {"roberta": backbones.ROBERTA, "albert": backbones.ALBERT}.get(
        config["model_type"], backbones.BERT
    )
    if config["model_type"] == "electra" and config.get(
        "embedding_size"
    ) not in (None, config["hidden_size"]):
        name = backbones.ELECTRA
    return backbones.CLASSES[name]


def max_positions(config: dict) -> int:
    """Returns the longest text; RoBERTa's start after that of the padding."""
    positions = config["max_position_embeddings"]
    if config["model_type"] == "roberta":
        positions -= config.get("pad_token_id", 1) + 1
    return positions


def check_config(config: dict, name: str) -> None:
    """Raises InputError where config.json is of another model than is built."""
    built = backbone_class(config)
    epsilon = 1e-5 if built is backbones.CLASSES[backbones.ROBERTA] else 1e-12
    supported = {
        "layer_norm_eps": (epsilon,),
        # DistilBERT's name for it is `activation`.
        "hidden_act": _ACTIVATIONS,
        "activation": _ACTIVATIONS,
        "position_embedding_type": ("absolute",),
    }
    for key, values in supported.items():
        if config.get(key, values[0]) not in values:
            raise InputError(
                f"--preset={name}: its config.json has {key}={config[key]!r}; "
                f"supported: {', '.join(map(str, values))}"
            )


def backbone_settings(config: dict) -> dict:
    """Returns its arguments."""
    built = backbone_class(config)
    if config["model_type"] == "distilbert":
        return {
            "vocabulary_size": config["vocab_size"],
            "max_sequence_length": max_positions(config),
            "num_layers": config["n_layers"],
            "num_heads": config["n_heads"],
            "hidden_dim": config["dim"],
            "intermediate_dim": config["hidden_dim"],
        }
    settings = {
        "vocabulary_size": config["vocab_size"],
        "max_sequence_length": max_positions(config),
        "num_layers": config["num_hidden_layers"],
        "num_heads": config["num_attention_heads"],
        "hidden_dim": config["hidden_size"],
        "intermediate_dim": config["intermediate_size"],
    }
    if built is backbones.CLASSES[backbones.ROBERTA]:
        return settings
    settings["num_segments"] = config.get("type_vocab_size", 2)
    if built is backbones.CLASSES[backbones.ELECTRA]:
        settings["vocab_size"] = settings.pop("vocabulary_size")
        settings["embedding_dim"] = config["embedding_size"]
    if built is backbones.CLASSES[backbones.ALBERT]:
        settings["embedding_dim"] = config["embedding_size"]
        settings["num_groups"] = config.get("num_hidden_groups", 1)
        settings["num_inner_repetitions"] = config.get("inner_group_num", 1)
    return settings


def read_weights(
    backbone: keras_nlp.models.Backbone,
    folder: str,
    *,
    kind: str,
    name: str,
) -> None:
    """Reads the weights of a folder into a backbone of its settings.

    Raises:
        InputError: they are not there, or not of such a model.
    """
    path = os.path.join(folder, WEIGHTS)
    try:
        tensors = safetensors.numpy.load_file(path)
    except FileNotFoundError:
        raise InputError(
            f"--preset={name}: the folder has no {WEIGHTS}"
        ) from None
    except safetensors.SafetensorError as error:
        raise InputError(f"--preset={name}: {path}: {error}") from None
    # Checkpoints with a head have the name of the kind before each tensor.
    tensors = {
        tensor.removeprefix(f"{kind}."): value
        for tensor, value in tensors.items()
    }
    if kind == "roberta" and {POSITIONS, SEGMENTS} <= tensors.keys():
        # All tokens are of the one segment.
        positions = tensors[POSITIONS] + tensors[SEGMENTS][:1]
        tensors[POSITIONS] = positions[-backbone.max_sequence_length :]
    for tensor, variable in named_variables(backbone, kind):
        if tensor.startswith("pooler.") and tensor not in tensors:
            # One that was trained for masked words alone.
            continue
        if tensor not in tensors:
            raise InputError(f"--preset={name}: {path} has no {tensor}")
        value = tensors[tensor]
        if tensor.endswith(".weight") and not tensor.startswith("embeddings."):
            # PyTorch's products have their outputs first.
            value = value.T
        if value.size != np.prod(variable.shape):
            raise InputError(
                f"--preset={name}: {tensor} in {path} has the shape "
                f"{list(value.shape)}, which does not fit its config.json"
            )
        variable.assign(np.reshape(value, variable.shape))
    if kind == "distilbert":
        segments = backbone.segment_embedding.embeddings
        segments.assign(np.zeros(segments.shape, np.float32))


def named_variables(
    backbone: keras_nlp.models.Backbone, kind: str
) -> Iterator[tuple[str, keras.Variable]]:
    """Yields the names of a folder's tensors and the backbone's variables."""
    yield (
        "embeddings.word_embeddings.weight",
        (backbone.token_embedding.embeddings),
    )
    positions = backbones.position_embedding(backbone)
    yield POSITIONS, positions.position_embeddings
    if kind not in ("distilbert", "roberta"):
        yield SEGMENTS, backbone.segment_embedding.embeddings
    norm = backbone.embeddings_layer_norm
    yield "embeddings.LayerNorm.weight", norm.gamma
    yield "embeddings.LayerNorm.bias", norm.beta
    for projection in backbones.projections(backbone):
        full = "embeddings_project"
        if kind == "albert":
            full = "encoder.embedding_hidden_mapping_in"
        yield f"{full}.weight", projection.kernel
        yield f"{full}.bias", projection.bias
    for prefix, layer in _named_layers(backbone, kind):
        # Keras has no public names for the parts of a layer.
        attention = layer._self_attention_layer
        for part, one in (
            ("attention.self.query", attention._query_dense),
            ("attention.self.key", attention._key_dense),
            ("attention.self.value", attention._value_dense),
            ("attention.output.dense", attention._output_dense),
            ("attention.output.LayerNorm", layer._self_attention_layer_norm),
            ("intermediate.dense", layer._feedforward_intermediate_dense),
            ("output.dense", layer._feedforward_output_dense),
            ("output.LayerNorm", layer._feedforward_layer_norm),
        ):
            full = f"{prefix}.{_PARTS.get(kind, {}).get(part, part)}"
            is_norm = part.endswith("LayerNorm")
            yield f"{full}.weight", one.gamma if is_norm else one.kernel
            yield f"{full}.bias", one.beta if is_norm else one.bias
    if kind in ("albert", "bert"):
        pooler = "pooler" if kind == "albert" else "pooler.dense"
        yield f"{pooler}.weight", backbone.pooled_dense.kernel
        yield f"{pooler}.bias", backbone.pooled_dense.bias


def _named_layers(backbone, kind: str) -> Iterator[tuple[str, keras.Layer]]:
    if kind == "albert":
        for group, layers in enumerate(backbone.transformer_layers):
            for number, layer in enumerate(layers):
                yield (
                    f"encoder.albert_layer_groups.{group}"
                    f".albert_layers.{number}",
                    layer,
                )
        return
    room = "transformer" if kind == "distilbert" else "encoder"
    for number, layer in enumerate(backbone.transformer_layers):
        yield f"{room}.layer.{number}", layer
