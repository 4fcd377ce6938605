"""Class names, their ids and labels.txt."""

from collections.abc import Iterable, Sequence

from bert_tf import files
from bert_tf.errors import InputError


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
