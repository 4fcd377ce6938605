"""The file, or standard output, that a script writes its result to."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from bert_tf import files, run_dir
from bert_tf.errors import InputError


@contextlib.contextmanager
def open_output(path: str | None) -> Iterator[TextIO]:
    """Opens a file that is renamed to `path` when all went well.

    Without a path it is standard output, in UTF-8.
    """
    if path is None:
        sys.stdout.reconfigure(encoding="utf-8", newline="")
        yield sys.stdout
        return
    with written_aside(path) as aside:
        with open(aside, "w", encoding="utf-8", newline="") as file:
            yield file


@contextlib.contextmanager
def written_aside(path: str) -> Iterator[str]:
    """Gives a path to write to, which is renamed when all went well.

    Raises:
        InputError: at once, where no such file can be made.
    """
    if files.is_folder(path):
        raise InputError(f"--output_file={path} is a folder")
    if os.path.exists(path) and not os.path.isfile(path):
        # A device or a pipe: there is nothing to rename.
        yield path
        return
    folder = os.path.dirname(path) or "."
    if not files.is_remote(path) and not os.path.isdir(folder):
        raise InputError(f"--output_file={path}: there is no folder {folder}")
    with run_dir.written_aside(path) as aside:
        yield aside
