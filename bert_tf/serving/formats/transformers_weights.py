"""A backbone's weights as Transformers names them.

The inverse of `presets.transformers`.
"""

import keras_nlp
import numpy as np

from bert_tf.models import backbones
from bert_tf.presets import transformers


def config_of(backbone: keras_nlp.models.Backbone, padding: int) -> dict:
    """Returns a config.json of which `backbone_settings` are the backbone's.

    Args:
        padding: the id of the token for padding.
    """
    kind, own = kind_of(backbone), backbones.own_config(backbone)
    config = {
        "model_type": kind,
        "vocab_size": backbone.token_embedding.input_dim,
        "max_position_embeddings": own["max_sequence_length"],
        "num_hidden_layers": own["num_layers"],
        "num_attention_heads": own["num_heads"],
        "hidden_size": own["hidden_dim"],
        "intermediate_size": own["intermediate_dim"],
        # What is computed here, whatever a checkpoint was trained with.
        "hidden_act": "gelu_pytorch_tanh",
        "type_vocab_size": own.get("num_segments", 1),
        "layer_norm_eps": backbone.embeddings_layer_norm.epsilon,
        "pad_token_id": padding,
    }
    if kind == "roberta":
        config["max_position_embeddings"] += padding + 1
    if "embedding_dim" in own:
        config["embedding_size"] = own["embedding_dim"]
    if kind == "albert":
        config["num_hidden_groups"] = own["num_groups"]
        config["inner_group_num"] = own["num_inner_repetitions"]
    return config


def tensors_of(
    backbone: keras_nlp.models.Backbone, padding: int
) -> dict[str, np.ndarray]:
    """Returns what `transformers.read_weights` reads.

    Args:
        padding: see `config_of`.
    """
    kind = kind_of(backbone)
    tensors = {
        name: as_pytorch(name, np.asarray(variable))
        for name, variable in transformers.named_variables(backbone, kind)
    }
    if kind == "roberta":
        # Positions start after that of the padding, and all tokens are of one
        # segment.
        positions = tensors[transformers.POSITIONS]
        tensors[transformers.POSITIONS] = np.pad(
            positions, [(padding + 1, 0), (0, 0)]
        )
        width = positions.shape[1]
        tensors[transformers.SEGMENTS] = np.zeros([1, width], np.float32)
    return tensors


def kind_of(backbone: keras_nlp.models.Backbone) -> str:
    """Returns the model_type that it is written as."""
    return {
        backbones.BERT: "bert",
        backbones.ELECTRA: "electra",
        backbones.ROBERTA: "roberta",
        backbones.ALBERT: "albert",
    }[type(backbone).__name__]


def as_pytorch(name: str, value: np.ndarray) -> np.ndarray:
    """Returns a kernel with its outputs first, and no axis of heads."""
    if name.endswith(".bias"):
        return value.ravel()
    if name.startswith("embeddings.") or value.ndim == 1:
        return value
    if value.ndim == 3:
        # Of attention: as wide as it is high.
        value = value.reshape(round(value.size**0.5), -1)
    return np.ascontiguousarray(value.T)
