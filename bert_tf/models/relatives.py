"""Transformers' DistilBERT and ELECTRA folders, as the BERTs that they are.

DistilBERT (1910.01108) is BERT without segments and pooler; ELECTRA's
discriminator (2003.10555) is BERT without pooler, often with embeddings that
are narrower than its layers. Segments are zeros here, and the pooler starts
anew: it is fine-tuned with the head.
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

KINDS = ("distilbert", "electra")
_WEIGHTS = "model.safetensors"
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


def backbone_class(config: dict) -> type:
    """Returns the class for what config.json holds."""
    if config.get("embedding_size") in (None, config.get("hidden_size")):
        return backbones.CLASSES[backbones.BERT]
    return backbones.CLASSES[backbones.ELECTRA]


def backbone_settings(config: dict) -> dict:
    """Returns its arguments."""
    is_narrow = backbone_class(config) is backbones.CLASSES[backbones.ELECTRA]
    size = "vocab_size" if is_narrow else "vocabulary_size"
    shared = {
        size: config["vocab_size"],
        "max_sequence_length": config["max_position_embeddings"],
    }
    if is_narrow:
        shared["embedding_dim"] = config["embedding_size"]
    if config["model_type"] == "distilbert":
        return {
            **shared,
            "num_layers": config["n_layers"],
            "num_heads": config["n_heads"],
            "hidden_dim": config["dim"],
            "intermediate_dim": config["hidden_dim"],
        }
    return {
        **shared,
        "num_layers": config["num_hidden_layers"],
        "num_heads": config["num_attention_heads"],
        "hidden_dim": config["hidden_size"],
        "intermediate_dim": config["intermediate_size"],
        "num_segments": config.get("type_vocab_size", 2),
    }


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
    path = os.path.join(folder, _WEIGHTS)
    try:
        tensors = safetensors.numpy.load_file(path)
    except FileNotFoundError:
        raise InputError(
            f"--preset={name}: the folder has no {_WEIGHTS}"
        ) from None
    except safetensors.SafetensorError as error:
        raise InputError(f"--preset={name}: {path}: {error}") from None
    # Checkpoints with a head have the name of the kind before each tensor.
    tensors = {
        tensor.removeprefix(f"{kind}."): value
        for tensor, value in tensors.items()
    }
    for tensor, variable in named_variables(backbone, kind):
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
    yield (
        "embeddings.position_embeddings.weight",
        (backbone.position_embedding.position_embeddings),
    )
    if kind != "distilbert":
        yield (
            "embeddings.token_type_embeddings.weight",
            (backbone.segment_embedding.embeddings),
        )
    norm = backbone.embeddings_layer_norm
    yield "embeddings.LayerNorm.weight", norm.gamma
    yield "embeddings.LayerNorm.bias", norm.beta
    for projection in backbones.projections(backbone):
        yield "embeddings_project.weight", projection.kernel
        yield "embeddings_project.bias", projection.bias
    for number, layer in enumerate(backbone.transformer_layers):
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
            full = f"encoder.layer.{number}.{part}"
            if kind == "distilbert":
                full = f"transformer.layer.{number}.{_DISTILBERT[part]}"
            is_norm = part.endswith("LayerNorm")
            yield f"{full}.weight", one.gamma if is_norm else one.kernel
            yield f"{full}.bias", one.beta if is_norm else one.bias
