"""Which operations the versions of TensorFlow Serving link, by a table."""

import functools
import importlib.resources
import json

_TABLE = "linked_operations.json"


def serving_versions() -> tuple[str, ...]:
    """Returns the TensorFlow Serving versions that are known, oldest first."""
    return tuple(table()["text_of_serving"])


@functools.cache
def table() -> dict:
    """Returns what linked_operations.json holds.

    `text_of_serving`: the TensorFlow Text that each version links;
    `text_operations`: the operations of each of these.
    """
    file = importlib.resources.files("bert_tf.serving").joinpath(_TABLE)
    return json.loads(file.read_text(encoding="utf-8"))
