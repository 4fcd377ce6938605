"""Keeps TensorFlow's notes off the terminal; a notebook shows ours.

On import it writes notes on CPU features and missing GPUs to standard error
before any of its settings counts, so standard error itself is turned aside
while it is imported. --verbosity=1 leaves everything as it is.
"""

import contextlib
import gc
import importlib
import logging as python_logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator

from absl import logging

_STDERR = 2

# For wrappers and galleries, which no script of ours uses; Keras imports them
# where they are installed.
_OPTIONAL_FOR_KERAS = ("matplotlib", "sklearn")


def is_verbose(arguments: list[str]) -> bool:
    """Whether --verbosity (or -v) is 1 or more; absl parses it too late."""
    value = None
    for i, argument in enumerate(arguments):
        name, _, after = argument.partition("=")
        if name in ("--verbosity", "-verbosity", "--v", "-v"):
            value = after or (arguments[i + 1 : i + 2] or [""])[0]
    try:
        return int(value or 0) > 0
    except ValueError:
        return False


@contextlib.contextmanager
def imports() -> Iterator[None]:
    """Turns standard error aside; it is shown where an import fails.

    Scripts import the library inside it, in main(), so that --help and
    faults of flags and files are told without waiting for TensorFlow, which
    a script imports here in any case.
    """
    if "tensorflow" in sys.modules:
        yield
        return
    is_told = is_verbose(sys.argv[1:])
    aside = contextlib.nullcontext() if is_told else _stderr_aside()
    with _no_garbage_collection(), warnings.catch_warnings(), aside:
        # tqdm's, in a notebook without ipywidgets.
        warnings.filterwarnings("ignore", message="IProgress not found")
        if _is_own_script():
            _import_tensorflow_alone()
        yield


def is_notebook() -> bool:
    """Whether cells show what is printed here.

    A package that is merely imported, as by a test, runs no cells.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


def only_own(record: python_logging.LogRecord) -> bool:
    """A filter of what is said: TensorFlow says how it names inputs, too."""
    is_foreign = f"{os.sep}tensorflow{os.sep}" in record.pathname
    return record.levelno >= python_logging.ERROR or not is_foreign


@contextlib.contextmanager
def told_in_notebook() -> Iterator[None]:
    """Shows in a notebook's cell what a script says while it trains.

    Where the notebook has set absl's logging up, that decides.
    """
    logger = logging.get_absl_logger()
    if not is_notebook() or logger.handlers or logger.level:
        yield
        return
    handler = python_logging.StreamHandler(sys.stdout)
    handler.addFilter(only_own)
    logger.addHandler(handler)
    logger.setLevel(python_logging.INFO)
    # absl gives the root a handler of its own.
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(python_logging.NOTSET)
        logger.propagate = True


def _is_own_script() -> bool:
    """Whether the process is a script's; another's may use all of Keras."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec is not None and spec.name.startswith("pipelines.")


def _import_tensorflow_alone() -> None:
    """Imports TensorFlow and Keras a third faster, which miss two packages.

    What Keras does without them is what it does where they are not installed;
    our own modules import them as ever, later and where they need them.
    """
    absent = [name for name in _OPTIONAL_FOR_KERAS if name not in sys.modules]
    # Python takes None for a module that there is not.
    sys.modules.update(dict.fromkeys(absent))
    try:
        importlib.import_module("tensorflow")
    finally:
        for name in absent:
            del sys.modules[name]


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Imports a fifth faster: what they make stays to the end in any case.

    Nor is it looked through again later, or while Python shuts down.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextlib.contextmanager
def _stderr_aside() -> Iterator[None]:
    # Errors of the C++ side reach Python as exceptions.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    saved = os.dup(_STDERR)
    note = b"Loading TensorFlow ..." if os.isatty(saved) else b""
    os.write(saved, note)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), _STDERR)
        try:
            yield
        except BaseException:
            _turn_back(saved, note)
            aside.seek(0)
            sys.stderr.write(aside.read().decode("utf-8", "replace"))
            raise
        _turn_back(saved, note)


def _turn_back(saved: int, note: bytes) -> None:
    sys.stderr.flush()
    # Over the note, which has served.
    os.write(saved, b"\r" + b" " * len(note) + b"\r" if note else b"")
    os.dup2(saved, _STDERR)
    os.close(saved)
