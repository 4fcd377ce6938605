"""Predicts the words behind [MASK]."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from bert_tf.errors import InputError
from bert_tf.models import backbones, encoder
from bert_tf.models import pretrainer as pretrainer_lib
from bert_tf.models.dropout import no_dropout
from bert_tf.presets import presets
from bert_tf.pretraining import initialization
from bert_tf.text.preprocessor import Preprocessor
from bert_tf.text.vocabulary import SPECIAL_TOKENS

MASK = SPECIAL_TOKENS.mask


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A word piece for a mask and its probability among all pieces."""

    token: str
    probability: float


class MaskFiller:
    """A backbone with its head for masked words, read once.

    Args:
        model: a run of pipelines.pretrain, or what --preset takes.

    Raises:
        InputError: there is no such model, or it has no such head.
    """

    def __init__(self, model: str):
        preset = presets.resolve(model)
        backbones.check_kind(
            preset.backbone_class, [backbones.BERT], model, "filling masks"
        )
        backbone = preset.build_backbone(dropout=0.0, dtype="float32")
        pretrainer = pretrainer_lib.build_pretrainer(backbone, has_pairs=False)
        if not initialization.read_head(preset, pretrainer.masked_lm):
            raise InputError(
                f"{model} has no head for masked words, as checkpoints that "
                "were trained on for something else often do not; "
                "pipelines.pretrain --preset=... gives it one"
            )
        self._pretrainer = pretrainer
        self._tokens = preset.vocabulary.tokens
        self._longest = backbone.max_sequence_length
        preprocessor = Preprocessor(
            preset.vocabulary, sequence_length=self._longest
        )
        # KerasNLP's tokenizer does otherwise outside a graph.
        self._tokenize = tf.function(
            preprocessor.tokenize,
            input_signature=[tf.TensorSpec([None], tf.string)],
            autograph=False,
        )
        self._compute = tf.function(
            self._probabilities,
            input_signature=[tf.TensorSpec([None], tf.int32)],
            autograph=False,
        )

    def __call__(self, text: str, *, top_k: int = 5) -> list[list[Candidate]]:
        """Returns the likeliest pieces for each [MASK], the best first.

        Raises:
            InputError: the text has no [MASK], or is too long.
        """
        ids = self._encode(text)
        probabilities = self._compute(tf.constant(ids, tf.int32)).numpy()
        return [
            [
                Candidate(self._tokens[i], float(row[i]))
                for i in np.argsort(-row, kind="stable")[:top_k]
            ]
            for row in probabilities
        ]

    def _encode(self, text: str) -> list[int]:
        parts = text.split(MASK)
        if len(parts) == 1:
            raise InputError(f"there is no {MASK} in {text!r}")
        # Apart, as a text cannot hold special tokens otherwise.
        pieces = self._tokenize(tf.constant(parts)).to_list()
        ids = [self._tokens.index("[CLS]"), *pieces[0]]
        for part in pieces[1:]:
            ids += [self._tokens.index(MASK), *part]
        ids.append(self._tokens.index("[SEP]"))
        if len(ids) > self._longest:
            raise InputError(
                f"the text has {len(ids)} tokens where the model knows "
                f"{self._longest} positions; shorten it"
            )
        return ids

    def _probabilities(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns <float32>[masks, vocabulary]."""
        weights = self._pretrainer.weights()
        batch = {
            "token_ids": ids[tf.newaxis],
            "segment_ids": tf.zeros_like(ids)[tf.newaxis],
            "padding_mask": tf.ones_like(ids)[tf.newaxis],
        }
        hidden = encoder.sequence_output(
            weights.encoder,
            batch,
            num_heads=self._pretrainer.backbone.num_heads,
            drop=no_dropout,
        )
        positions = tf.where(ids == self._tokens.index(MASK))
        positions = tf.cast(tf.transpose(positions), tf.int32)
        logits = pretrainer_lib.masked_logits(weights, hidden, positions)
        return tf.nn.softmax(logits)


def describe(text: str, candidates: Sequence[Sequence[Candidate]]) -> str:
    """Returns a table for each mask, and the text with the likeliest words."""
    lines = []
    for number, words in enumerate(candidates, 1):
        if len(candidates) > 1:
            lines.append(f"{MASK} {number}")
        lines += [
            f"  {candidate.probability:7.4f}  {candidate.token}"
            for candidate in words
        ]
    for words in candidates:
        text = text.replace(MASK, words[0].token, 1)
    return "\n".join([*lines, text])
