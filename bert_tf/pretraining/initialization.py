"""Initial weights: random, or from a checkpoint."""

import json
import os

import keras_nlp
import safetensors
from absl import logging

from bert_tf.errors import InputError
from bert_tf.models import backbones
from bert_tf.models import pretrainer as pretrainer_lib
from bert_tf.models.pretrainer import Pretrainer
from bert_tf.presets import presets, transformers, vocabularies
from bert_tf.presets.presets import Preset
from bert_tf.text import vocabulary as vocabulary_lib
from bert_tf.text.vocabulary import Vocabulary


def read_vocabulary(
    *, preset: str | None, vocab_file: str | None, max_seq_length: int
) -> tuple[Preset | None, Vocabulary]:
    """Returns the checkpoint to start from, if any, and the vocabulary.

    Args:
        preset: as --preset; None starts from random weights.
        vocab_file: the vocabulary where there is no preset.

    Raises:
        InputError: there is no such one, or it is too short.
    """
    if preset is None:
        if not os.path.exists(vocab_file):
            raise InputError(f"--vocab_file={vocab_file}: no such file")
        vocabulary = vocabularies.read_word_pieces(vocab_file)
        vocabulary_lib.check_vocabulary(
            vocabulary,
            embedding_rows=len(vocabulary.tokens),
            source=vocab_file,
        )
        return None, vocabulary
    resolved = presets.resolve(preset)
    backbones.check_kind(
        resolved.backbone_class,
        [backbones.BERT],
        f"--preset={preset}",
        "pretraining",
    )
    longest = resolved.max_positions
    if longest is not None and max_seq_length > longest:
        raise InputError(
            f"--max_seq_length={max_seq_length} is beyond the {longest} "
            f"positions that {preset} knows"
        )
    return resolved, resolved.vocabulary


def build_model(
    preset: Preset | None,
    vocabulary: Vocabulary,
    *,
    shape: dict[str, int],
    max_seq_length: int,
    dropout: float,
    dtype: str,
    has_pairs: bool,
) -> Pretrainer:
    """Builds the model, of the checkpoint's weights if there is one.

    Args:
        preset: the checkpoint.
        vocabulary: gives the rows of the embeddings.
        shape: arguments of the backbone where there is no checkpoint.
        dtype: a Keras dtype policy.
        has_pairs: whether there is a head for next sentences.
    """
    if preset is None:
        backbone = keras_nlp.models.BertBackbone(
            vocabulary_size=len(vocabulary.tokens),
            max_sequence_length=max_seq_length,
            dropout=dropout,
            dtype=dtype,
            **shape,
        )
    else:
        backbone = preset.build_backbone(dropout=dropout, dtype=dtype)
    pretrainer = pretrainer_lib.build_pretrainer(backbone, has_pairs=has_pairs)
    if preset is not None and not read_head(preset, pretrainer.masked_lm):
        logging.info(
            "%s has no head for masked words: it starts at random",
            preset.source,
        )
    return pretrainer


def default_learning_rate(
    backbone: keras_nlp.models.BertBackbone, *, has_checkpoint: bool
) -> float:
    """Returns 1e-4 for BERT-base, more for small models, half for checkpoints.

    Args:
        backbone: its size counts.
        has_checkpoint: whether it starts from one.
    """
    parameters = backbones.count_parameters(backbone)
    rate = 1e-3 if parameters < 15e6 else 5e-4 if parameters < 60e6 else 1e-4
    return min(rate / 2, 5e-5) if has_checkpoint else rate


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
    path = os.path.join(preset.source, transformers.WEIGHTS)
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
