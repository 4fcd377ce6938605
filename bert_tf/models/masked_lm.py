"""The head for masked words that a checkpoint may carry, on its backbone."""

import json
import os

import keras_nlp
import safetensors

from bert_tf.models import relatives
from bert_tf.models.presets import Preset

_TASK = "task.json"
_TASK_WEIGHTS = "task.weights.h5"
_TRANSFORMERS_BIAS = "cls.predictions.bias"


def read_head(preset: Preset, masked_lm: keras_nlp.models.BertMaskedLM) -> bool:
    """Reads the head's weights where the checkpoint has them.

    KerasNLP folders of a BertMaskedLM (as pipelines.pretrain writes them) do,
    and Transformers folders of a BertForMaskedLM or BertForPreTraining.

    Returns:
        Whether it did; else the head is left at random.
    """
    if _is_keras_masked_lm(preset.source):
        masked_lm.load_task_weights(os.path.join(preset.source, _TASK_WEIGHTS))
        return True
    path = os.path.join(preset.source, relatives.WEIGHTS)
    if not os.path.exists(path):
        return False
    with safetensors.safe_open(path, framework="np") as tensors:
        if _TRANSFORMERS_BIAS not in tensors.keys():
            return False

        def read(name):
            return tensors.get_tensor(f"cls.predictions.{name}")

        head = masked_lm.masked_lm_head
        # Keras has no public names for the parts of the head.
        dense, norm = head._intermediate_dense, head._intermediate_layer_norm
        dense.kernel.assign(read("transform.dense.weight").T)
        dense.bias.assign(read("transform.dense.bias"))
        norm.gamma.assign(read("transform.LayerNorm.weight"))
        norm.beta.assign(read("transform.LayerNorm.bias"))
        head._bias.assign(read("bias"))
    return True


def _is_keras_masked_lm(folder: str) -> bool:
    path = os.path.join(folder, _TASK)
    if not os.path.exists(path):
        return False
    with open(path, encoding="utf-8") as file:
        task = json.load(file)
    return task.get("class_name") == "BertMaskedLM"
