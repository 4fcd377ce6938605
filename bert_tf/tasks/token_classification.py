"""Token classification: named entities in IOB2."""

import dataclasses
import json
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pandas as pd
import tensorflow as tf

from bert_tf.data.label_types import OUTSIDE
from bert_tf.metrics import entities as metrics_lib
from bert_tf.metrics.bootstrap import BootstrapMetrics
from bert_tf.tasks.base import Signature, Task
from bert_tf.text import normalization

_PREFIXES = {"O": 0, "B": 1, "I": 2}
# Of pieces without a tag: inside of words, special tokens, padding.
_IGNORED = -1
_SMALLEST = 1e-12


@dataclasses.dataclass(frozen=True)
class TokenClassification(Task):
    """See `Task`; class_names are the tags, O first."""

    class_names: tuple[str, ...]

    name: ClassVar[str] = "token"
    is_per_token: ClassVar[bool] = True
    prediction_key: ClassVar[str] = "probabilities"
    with_offsets: ClassVar[bool] = True
    selection_metric: ClassVar[str] = "f1"
    metric_rows: ClassVar[tuple[tuple[str, str], ...]] = (
        ("entity F1", "eval_f1"),
        ("entity precision", "eval_precision"),
        ("entity recall", "eval_recall"),
        ("entity F1, macro", "eval_f1_macro"),
        ("words right", "eval_word_accuracy"),
        ("cross-entropy", "eval_loss"),
    )
    answer_columns: ClassVar[tuple[str, ...]] = ("entities",)

    @classmethod
    def from_splits(cls, splits, class_names, options) -> "TokenClassification":
        """See `Task`."""
        del splits, options
        return cls(class_names)

    def targets(self, examples, encoded) -> tf.RaggedTensor:
        """Returns the tag of each word's first piece, else -1, by text."""
        ids = {name: i for i, name in enumerate(self.class_names)}
        targets = np.full(encoded.row_splits[-1], _IGNORED, np.int32)
        rows = zip(
            examples["label"], _first_pieces(examples, encoded), strict=True
        )
        for row, (labels, pieces) in enumerate(rows):
            tags = labels.split(" ")
            start = encoded.row_splits[row]
            for word, piece in pieces:
                targets[start + piece] = ids[tags[word]]
        return tf.RaggedTensor.from_row_splits(targets, encoded.row_splits)

    def weights(self, targets, class_weight: str) -> np.ndarray:
        """Returns how many words are tagged: each word counts the same."""
        del class_weight
        counts = np.add.reduceat(
            (targets.flat_values.numpy() != _IGNORED).astype(np.float32),
            targets.row_splits.numpy()[:-1],
        )
        # A text without words counts next to nothing, and is no division by 0.
        return np.maximum(counts, 1e-6).astype(np.float32)

    def activate(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns the softmax."""
        return tf.nn.softmax(logits)

    def loss(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Returns the mean cross-entropy of the tagged words."""
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
            tf.maximum(labels, 0), logits
        )
        return _mean_of_tagged(losses, labels)

    def num_correct(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Returns the share of tagged words that are right."""
        right = tf.argmax(logits, axis=2, output_type=tf.int32) == labels
        return _mean_of_tagged(tf.cast(right, tf.float32), labels)

    def metrics(self, examples, encoded, predictions) -> dict:
        """See `entity_metrics`; words that were cut off count as O."""
        gold, predicted_tags, loss = self._tags(examples, encoded, predictions)
        return metrics_lib.entity_metrics(gold, predicted_tags, loss=loss)

    def bootstrap_metrics(
        self, examples, encoded, predictions
    ) -> BootstrapMetrics:
        """See `Task`."""
        gold, predicted_tags, _ = self._tags(examples, encoded, predictions)
        return metrics_lib.bootstrap_metrics(gold, predicted_tags)

    def _tags(self, examples, encoded, predictions):
        """Returns the tags, those that are answered, and the words' loss."""
        best = predictions.argmax(axis=1)
        gold, predicted_tags = [], []
        losses = []
        ids = {name: i for i, name in enumerate(self.class_names)}
        rows = zip(
            examples["label"], _first_pieces(examples, encoded), strict=True
        )
        for row, (labels, pieces) in enumerate(rows):
            tags = labels.split(" ")
            answer = [OUTSIDE] * len(tags)
            start = encoded.row_splits[row]
            for word, piece in pieces:
                answer[word] = self.class_names[best[start + piece]]
                losses.append(predictions[start + piece, ids[tags[word]]])
            gold.append(tags)
            predicted_tags.append(answer)
        loss = -np.log(np.maximum(np.float64(losses), _SMALLEST)).mean()
        return gold, predicted_tags, float(loss)

    def signatures(self) -> dict[str, Signature]:
        """See `Task`."""
        kinds = [name[2:] for name in self.class_names[1::2]]
        prefixes = [_PREFIXES[name[0]] for name in self.class_names]
        numbers = tf.constant([-1, *np.repeat(np.arange(len(kinds)), 2)])

        def answer(outputs):
            return decode(
                outputs["text"],
                outputs["offsets"],
                outputs["probabilities"],
                prefixes=tf.constant(prefixes),
                kinds=tf.cast(numbers, tf.int32),
                kind_names=tf.constant(kinds),
            )

        return {
            "serving_default": (
                "The entities of each text in their order, padded; how many "
                "(count). `start` is an entity's first character and `end` "
                "the one after its last, both of the text as it was sent, in "
                "Unicode code points; bytes that are not UTF-8 do not count.",
                answer,
            )
        }

    def to_row(self, answer: Mapping[str, np.ndarray], row: int):
        """Returns the entities as JSON."""
        entities = [
            {
                "entity": answer["entity"][row, i].decode(),
                "label": answer["label"][row, i].decode(),
                "start": int(answer["start"][row, i]),
                "end": int(answer["end"][row, i]),
                # The shortest number that reads back as the same float32.
                "score": float(str(answer["score"][row, i])),
            }
            for i in range(answer["count"][row])
        ]
        return [json.dumps(entities, ensure_ascii=False)], []

    def margins(self, encoded, predictions) -> np.ndarray:
        """Returns half the lead of the best tag, of the closest word."""
        best = np.sort(predictions, axis=1)[:, -2:]
        leads = np.where(
            encoded.offsets[:, 2] > 0, (best[:, 1] - best[:, 0]) / 2, np.inf
        )
        return np.minimum.reduceat(leads, encoded.row_splits[:-1])

    def max_abs_difference(
        self, expected: Mapping[str, str], answer_row
    ) -> float:
        """Returns the largest difference of a score; inf for other spans."""
        wanted, answered = map(
            json.loads, (expected["entities"], answer_row[0][0])
        )
        scores = [
            [entity.pop("score") for entity in entities_]
            for entities_ in (wanted, answered)
        ]
        if wanted != answered:
            return np.inf
        differences = np.abs(np.subtract(*scores))
        return float(differences.max(initial=0.0))


def _mean_of_tagged(values: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    tagged = tf.cast(labels != _IGNORED, tf.float32)
    return tf.reduce_sum(values * tagged, axis=1) / tf.maximum(
        tf.reduce_sum(tagged, axis=1), 1.0
    )


def _first_pieces(examples: pd.DataFrame, encoded):
    """Yields for each text pairs of a word and its first piece, by number.

    Words of control characters alone have none, nor have those cut off.
    """
    for row, text in enumerate(examples["text"]):
        lengths = np.array([len(word) + 1 for word in text.split(" ")])
        word_starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        start, end = encoded.row_splits[row : row + 2]
        offsets = encoded.offsets[start:end]
        pieces = np.flatnonzero(offsets[:, 1])
        words = (
            np.searchsorted(word_starts, offsets[pieces, 0], side="right") - 1
        )
        first = np.flatnonzero(np.diff(words, prepend=-1))
        yield list(zip(words[first], pieces[first], strict=True))


# Closing punctuation is no part of an entity that goes before it.
_CLOSING = r"""[.,;:!?…)\]}"”’»]+$"""


def decode(
    texts: tf.Tensor,
    offsets: tf.Tensor,
    probabilities: tf.Tensor,
    *,
    prefixes: tf.Tensor,
    kinds: tf.Tensor,
    kind_names: tf.Tensor,
) -> dict[str, tf.Tensor]:
    """Returns the entities of each text, by strict IOB2.

    The first piece of a word has its tag. B-x starts an entity, and I-x right
    after continues it; any other I- is none. An entity's score is the mean
    probability of its words' tags.

    Args:
        texts: <string>[batch].
        offsets: <int32>[batch, length, 3], see `PiecesWithOffsets`.
        probabilities: <float32>[batch, length, tags].
        prefixes: <int32>[tags], 1 for B-, 2 for I- and 0 for O.
        kinds: <int32>[tags], which type of entity; any number for O.
        kind_names: <string>[types].

    Returns:
        entity and label <string>[batch, most], start and end <int32>, score
        <float32>, padded with "" and 0; count <int32>[batch]. Start and end
        are characters (code points) of the text.
    """
    batch = tf.shape(texts, tf.int64)[0]
    # The words of all texts, one after the other.
    is_word = offsets[:, :, 2] > 0
    word_row = tf.where(is_word)[:, 0]
    word_offsets = tf.boolean_mask(offsets, is_word)
    word_probabilities = tf.boolean_mask(probabilities, is_word)
    count = tf.shape(word_row)[0]
    # A word ends where its last piece does.
    is_piece = offsets[:, :, 1] > 0
    word_of_piece = tf.cumsum(
        tf.cast(tf.boolean_mask(is_word, is_piece), tf.int32)
    )
    piece_ends = tf.boolean_mask(offsets[:, :, 1], is_piece)
    word_ends = tf.math.unsorted_segment_max(
        piece_ends, tf.maximum(word_of_piece - 1, 0), count
    )
    tag = tf.argmax(word_probabilities, axis=1)
    score = tf.reduce_max(word_probabilities, axis=1)
    prefix, kind = tf.gather(prefixes, tag), tf.gather(kinds, tag)

    def before(values, first):
        return tf.concat([[first], values[:-1]], 0)[:count]

    goes_on = (
        (prefix == 2)
        & (before(prefix, 0) > 0)
        & (before(kind, -1) == kind)
        & (before(word_row, tf.constant(-1, tf.int64)) == word_row)
    )
    # Runs of words; those that start with B- are entities.
    run = tf.cumsum(tf.cast(~goes_on, tf.int32)) - 1
    runs = tf.reduce_sum(tf.cast(~goes_on, tf.int32))
    heads = tf.boolean_mask(tf.range(count), ~goes_on)
    is_entity = tf.gather(prefix, heads) == 1
    end = tf.boolean_mask(
        tf.math.unsorted_segment_max(word_ends, run, runs), is_entity
    )
    mean = tf.boolean_mask(
        tf.math.unsorted_segment_mean(score, run, runs), is_entity
    )
    heads = tf.boolean_mask(heads, is_entity)
    start = tf.gather(word_offsets[:, 0], heads)
    row = tf.gather(word_row, heads)
    valid = normalization.valid_utf8(texts)
    entity = tf.strings.substr(
        tf.gather(valid, row), start, end - start, unit="UTF8_CHAR"
    )
    shorter = tf.strings.regex_replace(entity, _CLOSING, "")
    entity = tf.where(tf.strings.length(shorter) > 0, shorter, entity)
    columns = {
        "entity": entity,
        "label": tf.gather(kind_names, tf.gather(kind, heads)),
        "start": start,
        "end": start + tf.strings.length(entity, unit="UTF8_CHAR"),
        "score": mean,
    }
    ragged = {
        name: tf.RaggedTensor.from_value_rowids(column, row, nrows=batch)
        for name, column in columns.items()
    }
    return {
        **{name: column.to_tensor() for name, column in ragged.items()},
        "count": tf.cast(ragged["start"].row_lengths(), tf.int32),
    }
