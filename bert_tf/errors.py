"""Errors that users can fix, and helpers for their messages."""

import difflib
import importlib.util
import signal
from collections.abc import Iterable, Sequence


class InputError(ValueError):
    """The data or the flags are wrong; scripts end with exit status 1."""


class InstallationError(RuntimeError):
    """The installation is wrong; scripts end with exit status 2."""


class ServerError(RuntimeError):
    """A server does not answer; scripts end with exit status 2."""


class InterruptedTrainingError(RuntimeError):
    """A signal ended a training that is saved; exit status 128 and it."""

    def __init__(self, message: str, signal_number: int = signal.SIGTERM):
        super().__init__(message)
        self.exit_status = 128 + signal_number


def check_installed(package: str, needed_by: str, install: str = "") -> None:
    """Raises InstallationError where an optional package is missing.

    Args:
        package: as it is imported.
        needed_by: a flag or a file.
        install: what pip calls it, if by another name.
    """
    if importlib.util.find_spec(package) is None:
        raise InstallationError(
            f"{needed_by} needs the package {package}, which is not "
            f"installed: pip install {install or package}"
        )


def did_you_mean(name: str, options: Iterable[str], prefix: str = "") -> str:
    """Returns " Did you mean ...?" for the nearest option, or ""."""
    by_lower = {option.lower(): option for option in options}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return f" Did you mean {prefix}{by_lower[near[0]]}?" if near else ""


def shorten(text: str, width: int = 60) -> str:
    """Returns the text on one line, cut to `width` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"


def list_some(items: Sequence[object], limit: int = 5) -> str:
    """Joins the first few items, with an ellipsis where there are more."""
    shown = ", ".join(str(item) for item in items[:limit])
    return f"{shown}, ..." if len(items) > limit else shown


def place(path: str, line: int) -> str:
    """Says where a row stands: in a file, or in what <brackets> name."""
    return f"{path}, {unit(path)} {line}"


def unit(path: str) -> str:
    """Returns what rows are counted by: "line", or "row" of a DataFrame."""
    return "row" if path.startswith("<") else "line"
