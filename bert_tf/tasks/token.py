"""A tag for each word: named entities in IOB2."""

import dataclasses
import json
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pandas as pd
import tensorflow as tf

from bert_tf.data.label_types import OUTSIDE
from bert_tf.metrics import entities as metrics_lib
from bert_tf.metrics.resampling import Measure
from bert_tf.tasks.task import Signature, Task
from bert_tf.text import entities

_PREFIXES = {"O": 0, "B": 1, "I": 2}
# Of pieces without a tag: inside of words, special tokens, padding.
_IGNORED = -1
_SMALLEST = 1e-12


@dataclasses.dataclass(frozen=True)
class Token(Task):
    """See `Task`; class_names are the tags, O first."""

    class_names: tuple[str, ...]

    name: ClassVar[str] = "token"
    is_per_token: ClassVar[bool] = True
    predicted: ClassVar[str] = "probabilities"
    with_places: ClassVar[bool] = True
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
    def from_splits(cls, splits, class_names, options) -> "Token":
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

    def hits(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Returns the share of tagged words that are right."""
        right = tf.argmax(logits, axis=2, output_type=tf.int32) == labels
        return _mean_of_tagged(tf.cast(right, tf.float32), labels)

    def metrics(self, examples, encoded, predicted) -> dict:
        """See `entity_metrics`; words that were cut off count as O."""
        gold, found, loss = self._tags(examples, encoded, predicted)
        return metrics_lib.entity_metrics(gold, found, loss=loss)

    def resampled(self, examples, encoded, predicted) -> Measure:
        """See `Task`."""
        gold, found, _ = self._tags(examples, encoded, predicted)
        return metrics_lib.resampled(gold, found)

    def _tags(self, examples, encoded, predicted):
        """Returns the tags, those that are answered, and the words' loss."""
        best = predicted.argmax(axis=1)
        gold, found = [], []
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
                losses.append(predicted[start + piece, ids[tags[word]]])
            gold.append(tags)
            found.append(answer)
        loss = -np.log(np.maximum(np.float64(losses), _SMALLEST)).mean()
        return gold, found, float(loss)

    def signatures(self) -> dict[str, Signature]:
        """See `Task`."""
        kinds = [name[2:] for name in self.class_names[1::2]]
        prefixes = [_PREFIXES[name[0]] for name in self.class_names]
        numbers = tf.constant([-1, *np.repeat(np.arange(len(kinds)), 2)])

        def answer(outputs):
            return entities.decode(
                outputs["text"],
                outputs["places"],
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

    def cells(self, answer: Mapping[str, np.ndarray], row: int):
        """Returns the entities as JSON."""
        found = [
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
        return [json.dumps(found, ensure_ascii=False)], []

    def difference(self, expected: Mapping[str, str], cells) -> float:
        """Returns the largest difference of a score; inf for other spans."""
        wanted, found = map(json.loads, (expected["entities"], cells[0][0]))
        scores = [
            [entity.pop("score") for entity in entities_]
            for entities_ in (wanted, found)
        ]
        if wanted != found:
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
        places = encoded.places[start:end]
        pieces = np.flatnonzero(places[:, 1])
        words = (
            np.searchsorted(word_starts, places[pieces, 0], side="right") - 1
        )
        first = np.flatnonzero(np.diff(words, prepend=-1))
        yield list(zip(words[first], pieces[first], strict=True))
