"""Extractive question answering: SQuAD 1.1 and 2.0."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pandas as pd
import tensorflow as tf

from bert_tf.data.examples import utf8
from bert_tf.data.label_types import answers_of
from bert_tf.metrics import answers as metrics_lib
from bert_tf.metrics.bootstrap import BootstrapMetrics
from bert_tf.tasks import base as base_lib
from bert_tf.tasks.answers import windowed
from bert_tf.tasks.base import Signature, Task
from bert_tf.text import normalization

# A margin that no logits reach, finite for JSON.
_ALWAYS = 1e9
_IMPOSSIBLE = -1e9
# Of what `best_in_windows` returns.
WINDOW_SPECS = {
    "total": tf.TensorSpec([None], tf.float32),
    "start": tf.TensorSpec([None], tf.int32),
    "end": tf.TensorSpec([None], tf.int32),
    "probability": tf.TensorSpec([None], tf.float32),
    "no_answer": tf.TensorSpec([None], tf.float32),
    "no_answer_probability": tf.TensorSpec([None], tf.float32),
}
# In word pieces, as in google-research/bert's run_squad.py.
_LONGEST_ANSWER = 30


@dataclasses.dataclass(frozen=True)
class QuestionAnswering(Task):
    """See `Task`.

    Attributes:
        class_names: none.
        stride: see `cut_windows`.
        threshold: see `best_of_windows`.
    """

    class_names: tuple[str, ...] = ()
    stride: int = 64
    threshold: float = 0.0

    name: ClassVar[str] = "span"
    is_per_token: ClassVar[bool] = True
    prediction_key: ClassVar[str] = "logits"
    with_offsets: ClassVar[bool] = True
    has_thresholds: ClassVar[bool] = True
    num_outputs: ClassVar[int] = 2
    window_specs: ClassVar[dict[str, tf.TensorSpec]] = WINDOW_SPECS
    selection_metric: ClassVar[str] = "f1"
    metric_rows: ClassVar[tuple[tuple[str, str], ...]] = (
        ("exact match", "eval_exact_match"),
        ("F1", "eval_f1"),
        ("F1, with an answer", "eval_f1_answerable"),
        ("F1, without one", "eval_f1_no_answer"),
    )
    answer_columns: ClassVar[tuple[str, ...]] = (
        "answer", "start", "end", "score",
    )  # fmt: skip

    @property
    def parameters(self) -> dict:
        """See `Task`."""
        return {"stride": self.stride, "threshold": self.threshold}

    @classmethod
    def from_splits(cls, splits, class_names, options) -> "QuestionAnswering":
        """See `Task`; without unanswered questions, it always answers."""
        del class_names
        has_unanswered = any(
            not answers_of(row)
            for frame in splits.values()
            for row in frame.itertuples()
        )
        return cls(
            stride=options.stride,
            threshold=0.0 if has_unanswered else _ALWAYS,
        )

    def targets(self, examples, encoded) -> np.ndarray:
        """Returns the first and last token of the answer <int32>[windows, 2].

        0, which is [CLS], in windows that do not hold the whole answer. Of
        several answers the first is learned, as in run_squad.py.
        """
        targets = np.zeros([len(encoded.lengths), 2], np.int32)
        rows = list(examples.itertuples())
        for window, example in enumerate(encoded.example_index):
            gold = answers_of(rows[example])
            if not gold:
                continue
            text, start = gold[0]
            end = start + len(text)
            offsets = encoded.offsets[
                encoded.row_splits[window] : encoded.row_splits[window + 1]
            ]
            within = np.flatnonzero(
                (offsets[:, 1] > start) & (offsets[:, 0] < end)
            )
            seen = offsets[offsets[:, 1] > 0]
            if len(within) and seen[0, 0] <= start and seen[-1, 1] >= end:
                targets[window] = within[0], within[-1]
        return targets

    def activate(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns a softmax over the tokens."""
        return tf.nn.softmax(logits, axis=1)

    def loss(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Returns the mean cross-entropy of first and last token."""
        losses = [
            tf.nn.sparse_softmax_cross_entropy_with_logits(
                labels[:, side], logits[:, :, side]
            )
            for side in (0, 1)
        ]
        return (losses[0] + losses[1]) / 2

    def num_correct(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Returns 1 where both tokens are right."""
        best = tf.argmax(logits, axis=1, output_type=tf.int32)
        return tf.cast(tf.reduce_all(best == labels, axis=1), tf.float32)

    def metrics(self, examples, encoded, predictions) -> dict:
        """See `answer_metrics`; loss as in training, over the windows."""
        answers, _ = self._answers(examples, encoded, predictions)
        gold = _gold_texts(examples)
        values = metrics_lib.answer_metrics(answers, gold)
        loss = _loss(self.targets(examples, encoded), encoded, predictions)
        return {"eval_loss": loss, **values, "threshold": self.threshold}

    def bootstrap_metrics(
        self, examples, encoded, predictions
    ) -> BootstrapMetrics:
        """See `Task`."""
        answers, _ = self._answers(examples, encoded, predictions)
        return metrics_lib.bootstrap_metrics(answers, _gold_texts(examples))

    def fit_thresholds(
        self, examples, encoded, predictions
    ) -> "QuestionAnswering":
        """Returns the task with the threshold of the largest F1."""
        if self.threshold == _ALWAYS:
            return self
        always = dataclasses.replace(self, threshold=_ALWAYS)
        answers, margins = always._answers(examples, encoded, predictions)
        gold = _gold_texts(examples)
        f1s = np.array(
            [
                metrics_lib.f1(one, right)
                for one, right in zip(answers, gold, strict=True)
            ]
        )
        none = np.array([not right for right in gold])
        threshold = metrics_lib.best_threshold(margins, f1s, none)
        return dataclasses.replace(self, threshold=threshold)

    def in_windows(self, outputs: Mapping[str, tf.Tensor]) -> dict:
        """See `best_in_windows`."""
        return best_in_windows(outputs["logits"], outputs["offsets"])

    def signatures(self) -> dict[str, Signature]:
        """See `Task`."""

        def answer(outputs):
            best = best_of_windows(
                outputs,
                outputs["example_index"],
                outputs["text"],
                threshold=self.threshold,
            )
            del best["margin"]
            return best

        return {
            "serving_default": (
                "The answer to each question, a piece of its context, empty "
                "where there is none; its first character and the one after "
                "its last, in Unicode code points of the context as it was "
                "sent (bytes that are not UTF-8 do not count); and its "
                "probability (score).",
                answer,
            )
        }

    def to_row(self, answer: Mapping[str, np.ndarray], row: int):
        """See `Task`."""
        return (
            [
                answer["answer"][row].decode(),
                str(answer["start"][row]),
                str(answer["end"][row]),
                base_lib.number(answer["score"][row]),
            ],
            [],
        )

    def margins(self, encoded, predictions) -> np.ndarray:
        """Returns half the lead over the next span, or over no answer."""
        spans = windowed(self, encoded, predictions, _two_best)
        best = windowed(self, encoded, predictions)
        margins = []
        for example in np.unique(encoded.example_index):
            rows = np.flatnonzero(encoded.example_index == example)
            totals = spans["totals"][rows].ravel()
            ends = spans["spans"][rows].reshape([-1, 2])
            first = totals.argmax()
            # Another window may have the same span.
            rivals = totals[(ends != ends[first]).any(axis=1)]
            none = best["no_answer"][rows].min() - self.threshold
            behind = np.minimum([*rivals, none] - totals[first], 9)
            chance = best["probability"][rows[first // 2]]
            margins.append(np.abs(1 - np.exp(behind)).min() * chance / 2)
        return np.array(margins)

    def max_abs_difference(
        self, expected: Mapping[str, str], answer_row
    ) -> float:
        """Returns the difference of the scores; inf for other answers."""
        *span, score = answer_row[0]
        if span != [expected[name] for name in self.answer_columns[:3]]:
            return np.inf
        return base_lib.largest_difference(expected, ["score"], [score])

    def _answers(self, examples, encoded, predictions):
        """Returns the answers, and the margins <float32>[questions]."""
        windows = windowed(self, encoded, predictions)
        best = best_of_windows(
            windows,
            tf.constant(encoded.example_index),
            tf.constant(utf8(examples["text_pair"])),
            threshold=self.threshold,
        )
        answers = [text.decode() for text in best["answer"].numpy()]
        return answers, best["margin"].numpy()


def _gold_texts(examples: pd.DataFrame) -> list[list[str]]:
    return [
        [text for text, _ in answers_of(row)] for row in examples.itertuples()
    ]


def _loss(targets: np.ndarray, encoded, predictions: np.ndarray) -> float:
    """Returns the mean loss of the windows."""
    losses = []
    for window, target in enumerate(targets):
        start, end = encoded.row_splits[window : window + 2]
        logits = predictions[start:end].astype(np.float64)
        logits -= logits.max(axis=0)
        normal = np.log(np.exp(logits).sum(axis=0))
        losses.append((normal - logits[target, [0, 1]]).mean())
    return float(np.mean(losses))


def best_in_windows(
    logits: tf.Tensor, offsets: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Returns the best span of each window.

    Args:
        logits: <float32>[windows, length, 2], of being the first and the last
            token; those of the first token are of having no answer.
        offsets: <int32>[windows, length, 3], see `PiecesWithOffsets`; 0 where
            no answer can be.

    Returns:
        By window: total <float32>, start and end <int32> in characters,
        probability <float32> (the product of two softmaxes over the context
        and the first token), no_answer <float32> and no_answer_probability.
    """
    length = tf.shape(logits)[1]
    first, last, totals = _totals(logits, offsets)
    best = tf.cast(tf.argmax(totals, axis=1), tf.int32)
    # A batch without windows has no length to divide by.
    divisor = tf.maximum(length, 1)
    begin, end = best // divisor, best % divisor

    def pick(values, position):
        return tf.gather(values, position, batch_dims=1)

    none = logits[:, 0]
    normal = [
        tf.reduce_logsumexp(
            tf.concat([side, none[:, number, tf.newaxis]], 1), axis=1
        )
        for number, side in enumerate((first, last))
    ]
    total = pick(first, begin) + pick(last, end)
    no_answer = none[:, 0] + none[:, 1]
    return {
        "total": total,
        "start": pick(offsets[:, :, 0], begin),
        "end": pick(offsets[:, :, 1], end),
        "probability": tf.exp(total - normal[0] - normal[1]),
        "no_answer": no_answer,
        "no_answer_probability": tf.exp(no_answer - normal[0] - normal[1]),
    }


def _totals(logits, offsets) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns logits of first and last tokens, and of spans.

    <float32>[windows, length] and [windows, length x length].
    """
    length = tf.shape(logits)[1]
    possible = offsets[:, :, 1] > 0
    first, last = (
        tf.where(possible, logits[:, :, side], _IMPOSSIBLE) for side in (0, 1)
    )
    position = tf.range(length)
    distance = position[tf.newaxis] - position[:, tf.newaxis]
    totals = tf.where(
        (distance >= 0) & (distance < _LONGEST_ANSWER),
        first[:, :, tf.newaxis] + last[:, tf.newaxis],
        _IMPOSSIBLE,
    )
    return first, last, tf.reshape(totals, [-1, length * length])


def _two_best(outputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns totals <float32>[windows, 2] and spans, in characters."""
    offsets = outputs["offsets"]
    length = tf.shape(offsets)[1]
    totals, best = tf.math.top_k(_totals(outputs["logits"], offsets)[2], k=2)
    starts, ends = (
        tf.gather(offsets[:, :, side], position, batch_dims=1)
        for side, position in enumerate((best // length, best % length))
    )
    return {"totals": totals, "spans": tf.stack([starts, ends], axis=2)}


def best_of_windows(
    windows: Mapping[str, tf.Tensor],
    example_index: tf.Tensor,
    contexts: tf.Tensor,
    *,
    threshold: float,
) -> dict[str, tf.Tensor]:
    """Returns the answer to each question: the best span of all its windows.

    Args:
        example_index: <int64>[windows], whose question's they are, ascending.
        contexts: <string>[batch].
        threshold: there is no answer where that scores more than the best
            span by more than so much, in the window where it scores least.

    Returns:
        answer <string>[batch], "" for none; start and end <int32>[batch], in
        characters (code points) of the context, 0 for none; score
        <float32>[batch]; margin <float32>[batch], by how much none is better.
    """
    count = tf.shape(contexts)[0]
    number = tf.range(tf.shape(example_index)[0])

    def of_best(values, best):
        is_best = values == tf.gather(best, example_index)
        # The first, where there are several.
        window = tf.math.unsorted_segment_min(
            tf.where(is_best, number, tf.int32.max), example_index, count
        )
        return window

    total = tf.math.unsorted_segment_max(windows["total"], example_index, count)
    window = of_best(windows["total"], total)
    none = tf.math.unsorted_segment_min(
        windows["no_answer"], example_index, count
    )
    none_window = of_best(windows["no_answer"], none)
    margin = none - total
    is_answered = (total > _IMPOSSIBLE / 2) & (margin <= threshold)
    start, end = (
        tf.where(is_answered, tf.gather(windows[name], window), 0)
        for name in ("start", "end")
    )
    return {
        "answer": tf.strings.substr(
            normalization.valid_utf8(contexts),
            start,
            end - start,
            unit="UTF8_CHAR",
        ),
        "start": start,
        "end": end,
        "score": tf.where(
            is_answered,
            tf.gather(windows["probability"], window),
            tf.gather(windows["no_answer_probability"], none_window),
        ),
        "margin": margin,
    }
