"""A smaller student of a fine-tuned teacher, the way of DistilBERT.

https://arxiv.org/abs/1910.01108: the student has fewer layers of the same
width, starts from some of the teacher's, and learns from the teacher's
softened scores, the labels, and the direction of the teacher's hidden states.
"""

from collections.abc import Callable

import keras
import keras_nlp
import tensorflow as tf

from bert_tf.config.distillation import LossWeights
from bert_tf.errors import InputError
from bert_tf.inference.loaded_run import LoadedRun
from bert_tf.models import backbones, classifier, encoder
from bert_tf.models.dropout import no_dropout


def build_loss(
    weights: LossWeights, teacher: keras.Model, student: keras.Model
) -> Callable:
    """Returns the student's loss for `loop.build_step`."""

    def compute(batch, keys):
        drops = classifier.dropouts(student, keys)
        logits, hidden = _outputs(student, batch, drops)
        teacher_logits, teacher_hidden = _outputs(
            teacher, batch, (no_dropout, no_dropout)
        )
        soft = tf.nn.softmax(teacher_logits / weights.temperature)
        losses = {
            # Softened, gradients shrink with the square of it.
            "soft": weights.temperature**2
            * keras.losses.kl_divergence(
                soft, tf.nn.softmax(logits / weights.temperature)
            ),
            "hard": tf.nn.sparse_softmax_cross_entropy_with_logits(
                batch["label"], logits
            ),
            "cosine": _cosine_loss(
                hidden, teacher_hidden, batch["padding_mask"]
            ),
        }
        shares = {
            "soft": weights.soft_weight,
            "hard": weights.hard_weight,
            "cosine": weights.cosine_weight,
        }
        loss = tf.add_n(
            [
                losses[name] * (weight / sum(shares.values()))
                for name, weight in shares.items()
            ]
        )
        predicted = tf.argmax(logits, axis=1, output_type=tf.int32)
        hits = (predicted == batch["label"]) & (batch["row"] >= 0)
        return (
            tf.reduce_sum(loss * batch["weight"]),
            tf.reduce_sum(tf.cast(hits, tf.float32)),
        )

    return compute


def chosen_layers(teacher_layers: int, student_layers: int) -> list[int]:
    """Returns which layers of the teacher a student starts from.

    About every other one, the first and the last among them: of 12 DistilBERT
    takes 0, 2, 4, 7, 9, 11.
    """
    if not 0 < student_layers < teacher_layers:
        raise InputError(
            f"--num_layers={student_layers} must be from 1 to below the "
            f"teacher's {teacher_layers}"
        )
    step = (teacher_layers - 1) / max(student_layers - 1, 1)
    return [round(number * step) for number in range(student_layers)]


def build_student_backbone(
    teacher: keras_nlp.models.Backbone, *, num_layers: int
) -> keras_nlp.models.Backbone:
    """Returns a shallower backbone with weights of the teacher's."""
    layers = chosen_layers(teacher.num_layers, num_layers)
    config = {**backbones.own_config(teacher), "num_layers": num_layers}
    student = type(teacher)(**config)
    for own, known in zip(
        [*backbones.embedding_layers(student), student.pooled_dense],
        [*backbones.embedding_layers(teacher), teacher.pooled_dense],
        strict=True,
    ):
        own.set_weights(known.get_weights())
    for own, number in zip(student.transformer_layers, layers, strict=True):
        own.set_weights(teacher.transformer_layers[number].get_weights())
    return student


def copy_head(teacher: LoadedRun, student: keras.Model) -> None:
    """Gives a student the teacher's softmax layer."""
    student.get_layer("logits").set_weights(
        teacher.model.get_layer("logits").get_weights()
    )


def _outputs(model, batch, drops) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns logits <float32>[batch, classes] and the hidden states."""
    weights = classifier.classifier_weights(model)
    backbone_drop, head_drop = drops
    hidden = encoder.sequence_output(
        weights.encoder,
        batch,
        num_heads=classifier.backbone_of(model).num_heads,
        drop=backbone_drop,
    )
    pooled = tf.tanh(weights.encoder.pooler(hidden[:, 0]))
    pooled = head_drop(tf.cast(pooled, tf.float32), classifier.HEAD_SITE)
    return weights.logits(pooled), tf.cast(hidden, tf.float32)


def _cosine_loss(first, second, mask) -> tf.Tensor:
    """Returns <float32>[batch], the mean over the tokens of each text."""
    mask = tf.cast(mask, tf.float32)
    losses = 1.0 + keras.losses.cosine_similarity(first, second, axis=-1)
    return tf.reduce_sum(losses * mask, axis=1) / tf.reduce_sum(mask, axis=1)
