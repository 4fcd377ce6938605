"""Opens local files with Python and remote ones (gs://) with TensorFlow.

Only a path with :// imports TensorFlow, which takes seconds: most faults of
flags and files are told without it.
"""

import glob as local_glob
import importlib
import os


def is_remote(path: str) -> bool:
    """Whether only tf.io.gfile reaches a path."""
    return "://" in path


def open_file(path: str, mode: str = "r"):
    """Opens a file; text is UTF-8, its line ends stay as they are."""
    if is_remote(path):
        return _gfile().GFile(path, mode)
    if "b" in mode:
        return open(path, mode)
    return open(path, mode, encoding="utf-8", newline="")


def exists(path: str) -> bool:
    """Whether there is a file or a folder."""
    return _gfile().exists(path) if is_remote(path) else os.path.exists(path)


def is_folder(path: str) -> bool:
    """Whether there is a folder."""
    return _gfile().isdir(path) if is_remote(path) else os.path.isdir(path)


def glob(pattern: str) -> list[str]:
    """Returns the files that match a pattern, sorted."""
    find = _gfile().glob if is_remote(pattern) else local_glob.glob
    return sorted(find(pattern))


def size(path: str) -> int:
    """Returns the bytes of a file; 0 where there is none."""
    if is_remote(path):
        gfile = _gfile()
        return gfile.stat(path).length if gfile.exists(path) else 0
    return os.path.getsize(path) if os.path.exists(path) else 0


def tensorflow():
    """Imports TensorFlow, for files that only it reads."""
    return importlib.import_module("tensorflow")


def _gfile():
    return tensorflow().io.gfile
