"""Frozen layers, layer-wise learning rates and LoRA."""

import re

import keras
import keras_nlp

from bert_tf.errors import InputError
from bert_tf.models import backbones
from bert_tf.models.classifier import backbone_of

_LAST = re.compile(r"last:(\d+)")


def check_trainable_layers(value: str | None) -> int | None:
    """Returns how many of the last layers are trained; None for all.

    Raises:
        InputError: `value` is neither None nor last:N.
    """
    if value is None:
        return None
    match = _LAST.fullmatch(value)
    if not match:
        raise InputError(
            f"--trainable_layers={value} must be last:N, e.g. last:2 for the "
            "last two layers"
        )
    return int(match.group(1))


def check_layers(
    backbone_class: type, trainable_layers: str | None, decay: float
) -> None:
    """Raises InputError where layers are told apart that share their weights.

    Args:
        backbone_class: of the checkpoint.
    """
    if backbone_class is not backbones.CLASSES[backbones.ALBERT]:
        return
    flags = {
        "--trainable_layers": trainable_layers is not None,
        "--layerwise_learning_rate_decay": decay != 1.0,
    }
    for flag, is_given in flags.items():
        if is_given:
            raise InputError(
                f"{flag} tells layers apart, and those of an ALBERT share "
                "their weights: leave it out"
            )


def choose_variables(
    backbone: keras_nlp.models.Backbone,
    *,
    trainable_layers: str | None,
    lora_rank: int | None,
) -> None:
    """Leaves what the flags of these names say to be trained."""
    count = check_trainable_layers(trainable_layers)
    if count is not None:
        freeze_lower_layers(backbone, count)
    if lora_rank is not None:
        add_lora(backbone, lora_rank)


def freeze_lower_layers(
    backbone: keras_nlp.models.Backbone, trainable: int
) -> None:
    """Leaves the last `trainable` layers, and the pooler, to be trained.

    Raises:
        InputError: there are not so many layers.
    """
    layers = backbone.transformer_layers
    if trainable > len(layers):
        raise InputError(
            f"--trainable_layers=last:{trainable}: there are {len(layers)} "
            "layers"
        )
    lower = [
        *backbones.embedding_layers(backbone),
        *layers[: len(layers) - trainable],
    ]
    for layer in lower:
        layer.trainable = False


def add_lora(backbone: keras_nlp.models.Backbone, rank: int) -> None:
    """Adds low-rank updates to query and value and freezes everything else.

    Hu et al. 2021 (2106.09685). Keras' kernels are the sum of both, so that
    whatever reads them, the export included, has them merged.
    """
    backbone.enable_lora(rank, target_layer_names=["query", "value"])
    # Only the updates: the kernels' biases stay as they are.
    for layer in backbone._flatten_layers(include_self=False):
        if getattr(layer, "lora_enabled", False):
            layer.bias.trainable = False


def rate_factors(model: keras.Model, decay: float) -> list[float]:
    """Returns a factor on the learning rate of each trainable variable.

    1 for the head and the pooler, `decay` for the last layer, its square for
    the one before, and so on down to the embeddings.
    """
    backbone = backbone_of(model)
    layers = backbones.encoder_layers(backbone)
    depth = {
        id(variable): len(layers) - number
        for number, layer in enumerate(layers)
        for variable in layer.variables
    }
    for layer in backbones.embedding_layers(backbone):
        for variable in layer.variables:
            depth[id(variable)] = len(layers) + 1
    return [
        decay ** depth.get(id(variable), 0)
        for variable in model.trainable_variables
    ]
