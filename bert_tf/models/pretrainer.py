"""A BERT backbone with its pretraining heads and losses.

Masked words: a dense layer, GELU, normalization, and the token embeddings
once more as the output layer (https://arxiv.org/abs/1810.04805, as in
run_pretraining.py of google-research/bert). Next sentence: two classes on the
pooled output.
"""

import dataclasses
from typing import NamedTuple

import keras
import keras_nlp
import tensorflow as tf

from bert_tf.models import backbones, encoder
from bert_tf.models.dropout import no_dropout
from bert_tf.models.encoder import Dense, Drop, EncoderWeights, LayerNorm

_INITIALIZER_STDDEV = 0.02
_NEXT_SENTENCE = "next_sentence"


class Results(NamedTuple):
    """Of a batch, <float32>[] each: losses, accuracies, tokens met.

    Losses and accuracies are a replica's share of the global batch's means.
    """

    loss: tf.Tensor
    masked_loss: tf.Tensor
    masked_accuracy: tf.Tensor
    next_loss: tf.Tensor
    next_accuracy: tf.Tensor
    tokens: tf.Tensor


class PretrainerWeights(NamedTuple):
    """All weights, in the precision in which they are used."""

    encoder: EncoderWeights
    transform: Dense
    transform_norm: LayerNorm
    output_bias: tf.Tensor
    next_sentence: Dense | None


@dataclasses.dataclass(frozen=True)
class Pretrainer:
    """A model that is pretrained.

    Attributes:
        masked_lm: the backbone with the head for masked words.
        model: of all weights; `pretraining_results` computes.
    """

    masked_lm: keras_nlp.models.BertMaskedLM
    model: keras.Model

    @property
    def backbone(self) -> keras_nlp.models.BertBackbone:
        """What is kept for fine-tuning."""
        return self.masked_lm.backbone

    def weights(self) -> "PretrainerWeights":
        """Returns the weights; gradients go back to their variables."""
        names = [layer.name for layer in self.model.layers]
        next_sentence = None
        if _NEXT_SENTENCE in names:
            layer = self.model.get_layer(_NEXT_SENTENCE)
            next_sentence = Dense(
                *map(tf.convert_to_tensor, (layer.kernel, layer.bias))
            )
        return pretrainer_weights(self.masked_lm, next_sentence)


def build_pretrainer(
    backbone: keras_nlp.models.BertBackbone, *, has_pairs: bool
) -> Pretrainer:
    """Puts the heads on a backbone.

    Without pairs nothing reaches the pooler, which then is not trained.
    """
    masked_lm = keras_nlp.models.BertMaskedLM(backbone, preprocessor=None)
    backbone.pooled_dense.trainable = has_pairs
    outputs = {"masked_words": masked_lm.output}
    if has_pairs:
        next_sentence = keras.layers.Dense(
            2,
            kernel_initializer=keras.initializers.TruncatedNormal(
                stddev=_INITIALIZER_STDDEV
            ),
            dtype="float32",
            name=_NEXT_SENTENCE,
        )
        outputs["next_sentence"] = next_sentence(
            backbone(backbone.input)["pooled_output"]
        )
    return Pretrainer(masked_lm, keras.Model(masked_lm.input, outputs))


def pretrainer_weights(
    masked_lm: keras_nlp.models.BertMaskedLM, next_sentence: Dense | None = None
) -> PretrainerWeights:
    """Returns the weights of the backbone and of the head for masked words."""
    backbone, head = masked_lm.backbone, masked_lm.masked_lm_head

    def cast(variable):
        return tf.cast(tf.convert_to_tensor(variable), backbone.compute_dtype)

    # Keras has no public names for the parts of the head.
    dense, norm = head._intermediate_dense, head._intermediate_layer_norm
    return PretrainerWeights(
        backbones.encoder_weights(backbone),
        Dense(cast(dense.kernel), cast(dense.bias)),
        LayerNorm(*map(tf.convert_to_tensor, (norm.gamma, norm.beta))),
        tf.convert_to_tensor(head._bias),
        next_sentence,
    )


def pretraining_results(
    weights: PretrainerWeights,
    batch: dict[str, tf.Tensor],
    *,
    num_heads: int,
    drop: Drop = no_dropout,
) -> Results:
    """Computes the losses of a batch of `Batches.dataset`.

    The weights in the (global) batch add up to 1.
    """
    hidden = encoder.sequence_output(
        weights.encoder, batch, num_heads=num_heads, drop=drop
    )
    logits = masked_logits(weights, hidden, batch["masked_positions"])
    masked_ids = tf.reshape(batch["masked_ids"], [-1])
    masked_weights = tf.reshape(batch["masked_weights"], [-1])
    masked_loss, masked_accuracy = _loss(logits, masked_ids, masked_weights)
    next_loss = next_accuracy = tf.constant(0.0)
    if weights.next_sentence is not None:
        pooled = tf.tanh(weights.encoder.pooler(hidden[:, 0]))
        next_loss, next_accuracy = _loss(
            weights.next_sentence(tf.cast(pooled, tf.float32)),
            batch["is_random"],
            batch["weight"],
        )
    return Results(
        masked_loss + next_loss,
        masked_loss,
        masked_accuracy,
        next_loss,
        next_accuracy,
        tf.reduce_sum(tf.cast(batch["padding_mask"], tf.float32)),
    )


def masked_logits(
    weights: PretrainerWeights, hidden: tf.Tensor, positions: tf.Tensor
) -> tf.Tensor:
    """Returns <float32>[batch x masks, vocabulary].

    Only the masked tokens go through the output layer, which is the largest
    product of a small model.

    Args:
        hidden: <float>[batch, length, width], the encoder's output.
        positions: <int32>[batch, masks].
    """
    batch, length, width = tf.unstack(tf.shape(hidden))
    rows = tf.range(batch)[:, tf.newaxis] * length
    chosen = tf.gather(
        tf.reshape(hidden, [-1, width]), tf.reshape(positions + rows, [-1])
    )
    chosen = tf.ensure_shape(chosen, [None, hidden.shape[2]])
    chosen = tf.nn.gelu(weights.transform(chosen), approximate=False)
    chosen = weights.transform_norm(chosen)
    table = tf.convert_to_tensor(weights.encoder.token_embeddings)
    logits = tf.matmul(chosen, tf.cast(table, chosen.dtype), transpose_b=True)
    return tf.cast(logits, tf.float32) + weights.output_bias


def _loss(logits, labels, weights) -> tuple[tf.Tensor, tf.Tensor]:
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    num_correct = tf.argmax(logits, axis=1, output_type=labels.dtype) == labels
    return (
        tf.reduce_sum(losses * weights),
        tf.reduce_sum(tf.cast(num_correct, tf.float32) * weights),
    )


def training_flops_per_token(
    backbone: keras_nlp.models.BertBackbone,
    *,
    sequence_length: int,
    max_predictions: int,
) -> float:
    """Returns the FLOPs of all products for a token, forth and back."""
    width = backbone.hidden_dim
    layers = backbone.num_layers * encoder.layer_training_flops(
        backbone, sequence_length
    )
    head = 6.0 * width * (width + backbone.vocabulary_size)
    return layers + head * max_predictions / sequence_length
