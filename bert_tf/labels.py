"""Class names, their ids and labels.txt; sets of labels."""

import ast
import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence

from bert_tf import files
from bert_tf.errors import InputError

# Labels that say that there is none, in any case: pandas and R write them.
MISSING = frozenset(("nan", "null", "none", "na", "n/a"))


def class_names(labels: Iterable[str]) -> tuple[str, ...]:
    """Returns the distinct labels in an order that no row order can change.

    Whole numbers are ordered by value (so that 10 follows 9), everything else
    by code point. The position of a name is its class id.
    """
    distinct = set(labels)
    if all(_is_whole_number(label) for label in distinct):
        return tuple(sorted(distinct, key=lambda label: (int(label), label)))
    return tuple(sorted(distinct))


def class_ids(labels: Iterable[str], names: Sequence[str]) -> list[int]:
    """Returns each label's position in `names`; unknown labels raise."""
    ids = {name: i for i, name in enumerate(names)}
    return [ids[label] for label in labels]


def write_labels(path: str, names: Sequence[str]) -> None:
    """Writes one class name a line, in the order of the class ids."""
    with files.open_file(path, "w") as file:
        file.write("".join(f"{name}\n" for name in names))


def read_labels(path: str) -> tuple[str, ...]:
    """Reads what `write_labels` wrote; a task without classes has none."""
    with files.open_file(path) as file:
        text = file.read()
    return tuple(text.removesuffix("\n").split("\n")) if text else ()


def check_class_names(names: Sequence[str], num_rows: int) -> None:
    """Raises InputError unless `names` make a classification problem."""
    if len(names) == 1:
        raise InputError(
            f'all {num_rows:,} training rows have the label "{names[0]}"; a '
            "classifier needs at least two classes. Is --label_column right?"
        )
    if len(names) == num_rows:
        raise InputError(
            f"every one of the {num_rows:,} training rows has a label of its "
            "own, so there is nothing to learn. Is --label_column right?"
        )
    check_one_line(names)


def check_one_line(names: Sequence[str]) -> None:
    """Raises InputError for a name that labels.txt, of lines, cannot hold."""
    for name in names:
        if "\n" in name or "\r" in name:
            raise InputError(f"the class name {name!r} holds a line break")


def _is_whole_number(label: str) -> bool:
    return label.removeprefix("-").isascii() and (
        label.removeprefix("-").isdigit()
    )


def unified_names(
    counts: Counter, *, merge_case: bool | None
) -> dict[str, str]:
    """Returns the names of classes that are written in several ways.

    Where all are numbers, equal ones get the shortest way to write them; with
    `merge_case` those that differ by case alone the most frequent one.
    """
    if counts and all(map(is_number, counts)):
        return _merged(counts, float, lambda name: (-len(name), name))
    if merge_case is None:
        return {}
    names = _merged(counts, str.casefold, lambda name: (counts[name], name))
    if names and not merge_case:
        (one, other), *_ = names.items()
        raise InputError(
            f'the labels "{one}" ({counts[one]:,} rows) and "{other}" '
            f"({counts[other]:,} rows) differ by case alone; rename one, or "
            "take them for one class with --merge_label_case"
        )
    return names


def _merged(counts: Counter, key, best) -> dict[str, str]:
    groups: dict = {}
    for name in counts:
        groups.setdefault(key(name), []).append(name)
    return {
        name: max(group, key=best)
        for group in groups.values()
        for name in group
        if name != max(group, key=best)
    }


def split(labels: str, separator: str) -> list[str]:
    """Returns the labels of a text, each once: of a JSON list, or between."""
    listed = json_value(labels)
    names = listed if isinstance(listed, list) else labels.split(separator)
    names = (str(name).strip() for name in names)
    return list(dict.fromkeys(name for name in names if name))


def json_value(labels: str) -> object:
    """Returns what a list or an object was, in JSON or as Python writes it."""
    if not labels.startswith(("[", "{")):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            return read(labels)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return None


def is_number(label: str) -> bool:
    """Whether a label reads as a finite number."""
    try:
        return math.isfinite(float(label))
    except ValueError:
        return False
