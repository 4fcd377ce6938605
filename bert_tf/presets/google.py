"""Google's original checkpoints: bert_config.json and bert_model.ckpt.*.

As google-research/bert publishes them and its run_pretraining.py writes them.
"""

import os
from collections.abc import Iterator

import keras
import keras_nlp
import numpy as np
import tensorflow as tf

from bert_tf.errors import InputError

CONFIG = "bert_config.json"
_CHECKPOINT = "bert_model.ckpt"


def backbone_settings(config: dict) -> dict:
    """Returns BertBackbone's arguments for what bert_config.json holds."""
    return {
        "vocabulary_size": config["vocab_size"],
        "num_layers": config["num_hidden_layers"],
        "num_heads": config["num_attention_heads"],
        "hidden_dim": config["hidden_size"],
        "intermediate_dim": config["intermediate_size"],
        "max_sequence_length": config["max_position_embeddings"],
        "num_segments": config["type_vocab_size"],
    }


def is_lowercase(folder: str, tokens: tuple[str, ...]) -> bool:
    """Returns whether text is to be lower-cased.

    The files do not say, which the original leaves to --do_lower_case; the
    folder's name does (uncased_L-12_H-768_A-12), else the vocabulary.
    """
    name = os.path.basename(os.path.normpath(folder)).lower()
    for part, answer in (("uncased", True), ("cased", False)):
        if part in name:
            return answer
    words = (token for token in tokens if not token.startswith("["))
    return not any(word != word.lower() for word in words)


def read_weights(
    backbone: keras_nlp.models.BertBackbone, folder: str, name: str
) -> None:
    """Reads the weights of a checkpoint into a backbone of its settings.

    Raises:
        InputError: there is no checkpoint, or it is another model's.
    """
    path = os.path.join(folder, _CHECKPOINT)
    if not os.path.exists(f"{path}.index"):
        raise InputError(
            f"--preset={name}: the folder has no {_CHECKPOINT}.index"
        )
    reader = tf.train.load_checkpoint(path)
    for tensor, variable in named_variables(backbone):
        if not reader.has_tensor(tensor):
            raise InputError(f"--preset={name}: {path} has no {tensor}")
        value = reader.get_tensor(tensor)
        if value.size != np.prod(variable.shape):
            raise InputError(
                f"--preset={name}: {tensor} in {path} has the shape "
                f"{list(value.shape)}, which does not fit {CONFIG}"
            )
        # Attention has an axis for the heads here, and none there.
        variable.assign(np.reshape(value, variable.shape))


def named_variables(
    backbone: keras_nlp.models.BertBackbone,
) -> Iterator[tuple[str, keras.Variable]]:
    """Yields the names in the checkpoint and the backbone's variables."""
    embeddings = "bert/embeddings"
    yield (
        f"{embeddings}/word_embeddings",
        backbone.token_embedding.embeddings,
    )
    yield (
        f"{embeddings}/position_embeddings",
        backbone.position_embedding.position_embeddings,
    )
    yield (
        f"{embeddings}/token_type_embeddings",
        backbone.segment_embedding.embeddings,
    )
    yield from _norm(embeddings, backbone.embeddings_layer_norm)
    for number, layer in enumerate(backbone.transformer_layers):
        start = f"bert/encoder/layer_{number}"
        # Keras has no public names for the parts of a layer.
        attention = layer._self_attention_layer
        for name, part in (
            ("attention/self/query", attention._query_dense),
            ("attention/self/key", attention._key_dense),
            ("attention/self/value", attention._value_dense),
            ("attention/output/dense", attention._output_dense),
            ("intermediate/dense", layer._feedforward_intermediate_dense),
            ("output/dense", layer._feedforward_output_dense),
        ):
            yield from _dense(f"{start}/{name}", part)
        yield from _norm(
            f"{start}/attention/output", layer._self_attention_layer_norm
        )
        yield from _norm(f"{start}/output", layer._feedforward_layer_norm)
    yield from _dense("bert/pooler/dense", backbone.pooled_dense)


def _dense(name: str, layer):
    yield f"{name}/kernel", layer.kernel
    yield f"{name}/bias", layer.bias


def _norm(name: str, layer):
    yield f"{name}/LayerNorm/gamma", layer.gamma
    yield f"{name}/LayerNorm/beta", layer.beta
