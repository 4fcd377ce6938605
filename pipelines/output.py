"""The file, or standard output, that a script writes its result to."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO


@contextlib.contextmanager
def open_output(path: str | None) -> Iterator[TextIO]:
    """Opens a file that is renamed to `path` when all went well.

    Without a path it is standard output, in UTF-8.
    """
    if path is None:
        sys.stdout.reconfigure(encoding="utf-8", newline="")
        yield sys.stdout
        return
    aside = f"{path}.tmp"
    try:
        with open(aside, "w", encoding="utf-8", newline="") as file:
            yield file
        os.replace(aside, path)
    finally:
        if os.path.exists(aside):
            os.remove(aside)
