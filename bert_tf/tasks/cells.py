"""Answers as cells of the predictions file, and how far two are apart."""

from collections.abc import Mapping, Sequence

import numpy as np


def number(value: np.floating) -> str:
    """Returns the shortest text that reads back as a float32."""
    return str(value)


def probability_columns(class_names: Sequence[str]) -> tuple[str, ...]:
    """Returns the name of each class's column."""
    return tuple(f"probability_{name}" for name in class_names)


def largest_difference(
    expected: Mapping[str, str],
    columns: Sequence[str],
    cells: Sequence[str],
) -> float:
    """Returns the largest difference between numbers in the same columns."""
    pairs = zip(columns, cells, strict=True)
    return max(
        abs(np.float32(expected[column]) - np.float32(cell))
        for column, cell in pairs
    )
