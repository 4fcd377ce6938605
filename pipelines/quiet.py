"""Keeps TensorFlow's start-up notes off the terminal.

On import it writes notes on CPU features and missing GPUs to standard error
before any of its settings counts, so standard error itself is turned aside
until the script's own work begins. --verbosity=1 leaves everything as it is.
"""

import os
import sys
import tempfile

_STDERR = 2
_aside: list = []


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


def start() -> None:
    """Turns standard error aside; what an exception says is still shown."""
    if _aside or is_verbose(sys.argv[1:]):
        return
    # Errors of the C++ side reach Python as exceptions.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    file = tempfile.TemporaryFile()
    _aside.extend([os.dup(_STDERR), file, sys.excepthook])
    os.dup2(file.fileno(), _STDERR)
    sys.excepthook = _tell_all


def stop() -> str:
    """Turns standard error back and returns what was written meanwhile."""
    if not _aside:
        return ""
    sys.stderr.flush()
    saved, file, sys.excepthook = _aside
    _aside.clear()
    os.dup2(saved, _STDERR)
    os.close(saved)
    with file:
        file.seek(0)
        return file.read().decode("utf-8", "replace")


def _tell_all(*exception) -> None:
    """Shows what was kept back, then the exception."""
    kept = stop()
    sys.stderr.write(kept)
    sys.excepthook(*exception)
