"""A run's evaluation texts, and what models in other formats answer to them."""

import dataclasses
import functools
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from bert_tf.errors import InputError
from bert_tf.inference.loaded_run import LoadedRun
from bert_tf.serving import export as export_lib
from bert_tf.tasks import head

_BATCH_SIZE = 32
# What stands in the place of padding, in comparisons.
_NO_TOKEN = np.float32(-1e9)

# Features as `classifier.classify` takes them, as arrays.
Features = dict[str, np.ndarray]
Logits = Callable[[Features], np.ndarray]


@dataclasses.dataclass(frozen=True)
class EvaluationTexts:
    """Up to 500 of them.

    Attributes:
        run: encodes and answers them.
        segments: texts, or pairs.
        true_labels: as predictions.csv has them.
    """

    run: LoadedRun
    segments: tuple[list[str], ...]
    true_labels: list[str]

    @classmethod
    def read(cls, run: LoadedRun, run_path: str) -> "EvaluationTexts":
        """Reads them from a run folder."""
        segments, rows = export_lib.evaluation_texts(
            run_path, has_pairs=run.has_pairs
        )
        return cls(run, segments, [row.get("true_label", "") for row in rows])

    @functools.cached_property
    def _encode(self) -> Callable:
        texts = [tf.TensorSpec([None], tf.string)] * len(self.segments)
        return tf.function(
            lambda *texts: self.run.preprocessor(texts),
            input_signature=texts,
            autograph=False,
        )

    def batches(self, size: int) -> Iterator[Features]:
        """Yields them encoded, so many at a time."""
        for start in range(0, len(self.segments[0]), size):
            features = self._encode(
                *(
                    tf.constant(part[start : start + size])
                    for part in self.segments
                )
            )
            yield {key: value.numpy() for key, value in features.items()}

    def answers(self, logits: np.ndarray, padding_mask: np.ndarray):
        """Returns what the task answers with, of logits of any model."""
        if self.run.task.is_per_token:
            is_token = padding_mask[:, :, np.newaxis] == 1
            logits = np.where(is_token, logits, _NO_TOKEN)
        return self.run.task.activate(tf.constant(logits)).numpy()

    def compare(self, logits_of: Logits) -> float:
        """Returns the largest difference of an answer from the run's.

        Raises:
            InputError: it is above what is allowed.
        """
        run, worst, start = self.run, 0.0, 0
        tolerance = export_lib.TOLERANCE[run.config.mixed_precision]
        for features in self.batches(_BATCH_SIZE):
            ours = head.forward(
                run.task,
                run.model,
                {key: tf.constant(value) for key, value in features.items()},
            )["logits"].numpy()
            ours, theirs = (
                self.answers(logits, features["padding_mask"])
                for logits in (ours, logits_of(features))
            )
            # Numbers of a regression may be large; all others are up to 1.
            differences = np.abs(ours - theirs) / np.maximum(1.0, np.abs(ours))
            of_rows = differences.reshape(len(ours), -1).max(axis=1)
            largest = float(of_rows.max())
            # Whatever is no number is not within it either.
            if not largest <= tolerance:
                text = self.segments[0][start + int(of_rows.argmax())]
                raise InputError(
                    f"the model that was written answers otherwise, "
                    f"{largest:.2g} apart (allowed: {tolerance:g}), for the "
                    f"evaluation text {text[:80]!r}; nothing was published"
                )
            worst = max(worst, largest)
            start += len(ours)
        return worst
