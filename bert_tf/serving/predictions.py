"""The predictions file: a row for each text, in the order of the texts."""

import csv
from collections.abc import Iterable, Sequence
from typing import TextIO

import numpy as np


class PredictionWriter:
    """Writes CSV: id, text, label, score, and a probability a class.

    Pairs have a text_pair column as well, and evaluations a true_label.
    """

    def __init__(
        self,
        file: TextIO,
        class_names: Sequence[str],
        *,
        has_pairs: bool,
        has_true_labels: bool = False,
    ):
        self._class_names = class_names
        self._writer = csv.writer(file, lineterminator="\n")
        header = ["id", "text"]
        if has_pairs:
            header.append("text_pair")
        header += ["label", "score"]
        if has_true_labels:
            header.append("true_label")
        self._writer.writerow(
            header + [probability_column(name) for name in class_names]
        )

    def write(
        self,
        *,
        ids: Iterable[object],
        segments: tuple[Sequence[str], ...],
        probabilities: np.ndarray,
        true_labels: Sequence[str] | None = None,
    ) -> None:
        """Writes some rows; probabilities are <float32>[rows, classes]."""
        best = probabilities.argmax(axis=1)
        for i, (name, *texts) in enumerate(zip(ids, *segments, strict=True)):
            row = [name, *texts, self._class_names[best[i]]]
            # str() of a float32 is the shortest text that reads back as it.
            row.append(str(probabilities[i, best[i]]))
            if true_labels is not None:
                row.append(true_labels[i])
            self._writer.writerow(row + [str(p) for p in probabilities[i]])


def probability_column(class_name: str) -> str:
    """Returns the name of a class's column."""
    return f"probability_{class_name}"
