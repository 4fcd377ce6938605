"""The answer to a question, as a span of a context: SQuAD 1.1 and 2.0."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pandas as pd
import tensorflow as tf

from bert_tf.data.examples import utf8
from bert_tf.data.label_types import answers_of
from bert_tf.metrics import answers as metrics_lib
from bert_tf.metrics.resampling import Measure
from bert_tf.tasks import cells as cells_lib
from bert_tf.tasks.answers import windowed
from bert_tf.tasks.task import Signature, Task
from bert_tf.text import spans

# A margin that no logits reach, finite for JSON.
_ALWAYS = 1e9


@dataclasses.dataclass(frozen=True)
class Span(Task):
    """See `Task`.

    Attributes:
        class_names: none.
        stride: see `windows.cut`.
        threshold: see `best_of_windows`.
    """

    class_names: tuple[str, ...] = ()
    stride: int = 64
    threshold: float = 0.0

    name: ClassVar[str] = "span"
    is_per_token: ClassVar[bool] = True
    predicted: ClassVar[str] = "logits"
    with_places: ClassVar[bool] = True
    has_parameters: ClassVar[bool] = True
    num_outputs: ClassVar[int] = 2
    window_specs: ClassVar[dict[str, tf.TensorSpec]] = spans.WINDOW_SPECS
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
    def from_splits(cls, splits, class_names, options) -> "Span":
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
        for window, owner in enumerate(encoded.owners):
            gold = answers_of(rows[owner])
            if not gold:
                continue
            text, start = gold[0]
            end = start + len(text)
            places = encoded.places[
                encoded.row_splits[window] : encoded.row_splits[window + 1]
            ]
            within = np.flatnonzero(
                (places[:, 1] > start) & (places[:, 0] < end)
            )
            seen = places[places[:, 1] > 0]
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

    def hits(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Returns 1 where both tokens are right."""
        best = tf.argmax(logits, axis=1, output_type=tf.int32)
        return tf.cast(tf.reduce_all(best == labels, axis=1), tf.float32)

    def metrics(self, examples, encoded, predicted) -> dict:
        """See `answer_metrics`; loss as in training, over the windows."""
        found, _ = self._answers(examples, encoded, predicted)
        gold = _gold_texts(examples)
        values = metrics_lib.answer_metrics(found, gold)
        loss = _loss(self.targets(examples, encoded), encoded, predicted)
        return {"eval_loss": loss, **values, "threshold": self.threshold}

    def resampled(self, examples, encoded, predicted) -> Measure:
        """See `Task`."""
        found, _ = self._answers(examples, encoded, predicted)
        return metrics_lib.resampled(found, _gold_texts(examples))

    def tuned(self, examples, encoded, predicted) -> "Span":
        """Returns the task with the threshold of the largest F1."""
        if self.threshold == _ALWAYS:
            return self
        always = dataclasses.replace(self, threshold=_ALWAYS)
        found, margins = always._answers(examples, encoded, predicted)
        gold = _gold_texts(examples)
        f1s = np.array(
            [
                metrics_lib.f1(one, right)
                for one, right in zip(found, gold, strict=True)
            ]
        )
        none = np.array([not right for right in gold])
        threshold = metrics_lib.best_threshold(margins, f1s, none)
        return dataclasses.replace(self, threshold=threshold)

    def in_windows(self, outputs: Mapping[str, tf.Tensor]) -> dict:
        """See `best_in_windows`."""
        return spans.best_in_windows(outputs["logits"], outputs["places"])

    def signatures(self) -> dict[str, Signature]:
        """See `Task`."""

        def answer(outputs):
            found = spans.best_of_windows(
                outputs,
                outputs["owners"],
                outputs["text"],
                threshold=self.threshold,
            )
            del found["margin"]
            return found

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

    def cells(self, answer: Mapping[str, np.ndarray], row: int):
        """See `Task`."""
        return (
            [
                answer["answer"][row].decode(),
                str(answer["start"][row]),
                str(answer["end"][row]),
                cells_lib.number(answer["score"][row]),
            ],
            [],
        )

    def difference(self, expected: Mapping[str, str], cells) -> float:
        """Returns the difference of the scores; inf for other answers."""
        *span, score = cells[0]
        if span != [expected[name] for name in self.answer_columns[:3]]:
            return np.inf
        return cells_lib.largest_difference(expected, ["score"], [score])

    def _answers(self, examples, encoded, predicted):
        """Returns the answers, and the margins <float32>[questions]."""
        windows = windowed(self, encoded, predicted)
        found = spans.best_of_windows(
            windows,
            tf.constant(encoded.owners),
            tf.constant(utf8(examples["text_pair"])),
            threshold=self.threshold,
        )
        answers = [text.decode() for text in found["answer"].numpy()]
        return answers, found["margin"].numpy()


def _gold_texts(examples: pd.DataFrame) -> list[list[str]]:
    return [
        [text for text, _ in answers_of(row)] for row in examples.itertuples()
    ]


def _loss(targets: np.ndarray, encoded, predicted: np.ndarray) -> float:
    """Returns the mean loss of the windows."""
    losses = []
    for window, target in enumerate(targets):
        start, end = encoded.row_splits[window : window + 2]
        logits = predicted[start:end].astype(np.float64)
        logits -= logits.max(axis=0)
        normal = np.log(np.exp(logits).sum(axis=0))
        losses.append((normal - logits[target, [0, 1]]).mean())
    return float(np.mean(losses))
