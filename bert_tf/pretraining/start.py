"""What a pretraining starts from: random weights or a checkpoint."""

import dataclasses
import os

import keras_nlp
from absl import logging

from bert_tf.config.pretraining import PretrainConfig
from bert_tf.errors import InputError
from bert_tf.models import backbones, preset_vocabularies, presets
from bert_tf.models import masked_lm as masked_lm_lib
from bert_tf.models import pretrainer as pretrainer_lib
from bert_tf.models.presets import Preset
from bert_tf.models.pretrainer import Pretrainer
from bert_tf.text import vocabulary as vocabulary_lib
from bert_tf.text.vocabulary import Vocabulary


def read_vocabulary(
    config: PretrainConfig,
) -> tuple[Preset | None, Vocabulary]:
    """Returns the checkpoint to go on from, if any, and the vocabulary.

    Raises:
        InputError: there is no such one, or it is too short.
    """
    if config.preset is None:
        if not os.path.exists(config.vocab_file):
            raise InputError(f"--vocab_file={config.vocab_file}: no such file")
        vocabulary = preset_vocabularies.read_word_pieces(config.vocab_file)
        vocabulary_lib.check_vocabulary(
            vocabulary,
            embedding_rows=len(vocabulary.tokens),
            source=config.vocab_file,
        )
        return None, vocabulary
    preset = presets.resolve(config.preset)
    backbones.check_kind(
        preset.backbone_class,
        [backbones.BERT],
        f"--preset={config.preset}",
        "pretraining",
    )
    longest = preset.max_positions
    if longest is not None and config.max_seq_length > longest:
        raise InputError(
            f"--max_seq_length={config.max_seq_length} is beyond the {longest} "
            f"positions that {config.preset} knows"
        )
    return preset, preset.vocabulary


def build_model(
    config: PretrainConfig, preset: Preset | None, vocabulary: Vocabulary
) -> tuple[Pretrainer, PretrainConfig]:
    """Builds the model, and decides the learning rate by its size."""
    settings = {"dropout": config.dropout, "dtype": config.dtype_policy}
    if preset is None:
        backbone = keras_nlp.models.BertBackbone(
            vocabulary_size=len(vocabulary.tokens),
            max_sequence_length=config.max_seq_length,
            **config.shape(),
            **settings,
        )
    else:
        backbone = preset.build_backbone(**settings)
    pretrainer = pretrainer_lib.build_pretrainer(
        backbone, has_pairs=config.has_pairs
    )
    if preset is not None and not masked_lm_lib.read_head(
        preset, pretrainer.masked_lm
    ):
        logging.info(
            "%s has no head for masked words: it starts at random",
            config.preset,
        )
    if config.learning_rate is None:
        config = dataclasses.replace(
            config, learning_rate=_default_learning_rate(backbone, preset)
        )
    return pretrainer, config


def _default_learning_rate(backbone, preset) -> float:
    """1e-4 is BERT-base's; small models want more, checkpoints half."""
    parameters = backbones.count_parameters(backbone)
    rate = 1e-3 if parameters < 15e6 else 5e-4 if parameters < 60e6 else 1e-4
    return rate if preset is None else min(rate / 2, 5e-5)
