"""Reads local files and remote ones (gs://, s3://, hdfs://), copies to those.

Python opens local files, TensorFlow gs://, and fsspec whatever else it has a
package for. Only gs:// imports TensorFlow, which takes seconds: most faults of
flags and files are told without it.
"""

import contextlib
import datetime
import glob as local_glob
import importlib
import io
import os
import uuid
from collections.abc import Iterable, Iterator

from bert_tf.errors import InputError, InstallationError, ServerError

# Of copies that are not whole yet.
PARTIAL = ".partial"
# What TensorFlow reads as it is; its ram:// is for tests.
_TENSORFLOW_SCHEMES = ("gs", "ram")


def is_remote(path: str) -> bool:
    """Whether a path is an address, which Python's open does not take."""
    return "://" in path


def open_file(path: str, mode: str = "r"):
    """Opens a file; text is UTF-8, its line ends stay as they are.

    Remote ones are only read: see `upload` and `write_text`.
    """
    if is_remote(path):
        with _telling_of_faults(path) as disk:
            return disk.open(path, mode, **_text(mode))
    return open(path, mode, **_text(mode))


def exists(path: str) -> bool:
    """Whether there is a file or a folder."""
    if is_remote(path):
        with _telling_of_faults(path) as disk:
            return disk.exists(path)
    return os.path.exists(path)


def is_folder(path: str) -> bool:
    """Whether there is a folder."""
    if is_remote(path):
        with _telling_of_faults(path) as disk:
            return disk.isdir(path)
    return os.path.isdir(path)


def glob(pattern: str) -> list[str]:
    """Returns the files that match a pattern, sorted."""
    if is_remote(pattern):
        with _telling_of_faults(pattern) as disk:
            return sorted(_addresses(pattern, disk, disk.glob(pattern)))
    return sorted(local_glob.glob(pattern))


def size(path: str) -> int:
    """Returns the bytes of a file; 0 where there is none."""
    if is_remote(path):
        with _telling_of_faults(path) as disk:
            return (disk.size(path) or 0) if disk.exists(path) else 0
    return os.path.getsize(path) if os.path.exists(path) else 0


def list_files(folder: str) -> list[str]:
    """Returns the files in a folder and below, relative to it, sorted.

    Without those that are not whole yet; none where there is no folder.
    """
    if is_remote(folder):
        folder = folder.rstrip("/")
        with _telling_of_faults(folder) as disk:
            found = disk.find(folder) if disk.exists(folder) else []
            paths = _addresses(folder, disk, found)
    else:
        paths = [
            os.path.join(place, name)
            for place, _, names in os.walk(folder)
            for name in names
        ]
    return sorted(
        os.path.relpath(path, folder)
        for path in paths
        if not path.endswith(PARTIAL)
    )


def modified(path: str) -> float:
    """Returns when a remote file was written, in seconds of its disk's clock.

    Raises:
        InputError: the disk does not say.
    """
    with _telling_of_faults(path) as disk:
        return disk.modified(path).timestamp()


def write_text(path: str, text: str) -> None:
    """Writes a small remote file."""
    with _telling_of_faults(path) as disk:
        disk.pipe_file(path, text.encode())


def remove(path: str) -> None:
    """Deletes a remote file."""
    with _telling_of_faults(path) as disk:
        disk.rm_file(path)


def check_writable(path: str) -> None:
    """Raises InputError or ServerError where a remote file cannot be written.

    Before the work whose result it holds.
    """
    probe = _aside(path)
    with _telling_of_faults(path) as disk:
        disk.pipe_file(probe, b"")
        disk.rm_file(probe)


def download(source: str, target: str) -> None:
    """Copies a remote file to a local one, in a folder that is made."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    aside = f"{target}{PARTIAL}"
    with _telling_of_faults(source) as disk:
        disk.get_file(source, aside)
        _check_sizes(source, disk.size(source), aside, os.path.getsize(aside))
    os.replace(aside, target)


def upload(source: str, target: str) -> None:
    """Copies a local file to a remote one: aside, and then by a new name.

    Raises:
        ServerError: what arrived has another size.
    """
    aside = _aside(target)
    with _telling_of_faults(target) as disk:
        disk.put_file(source, aside)
        _check_sizes(source, os.path.getsize(source), aside, disk.size(aside))
        disk.mv(aside, target)


def tensorflow():
    """Imports TensorFlow, for files that only it reads."""
    return importlib.import_module("tensorflow")


def _aside(path: str) -> str:
    # Another process may write to the same path.
    return f"{path}.{uuid.uuid4().hex[:8]}{PARTIAL}"


def _text(mode: str) -> dict[str, str]:
    return {} if "b" in mode else {"encoding": "utf-8", "newline": ""}


def _check_sizes(source: str, wanted: int, copy: str, size: int) -> None:
    if size != wanted:
        raise ServerError(
            f"{copy} has {size:,} bytes after copying, {source} has "
            f"{wanted:,}; start the same command again"
        )


@contextlib.contextmanager
def _telling_of_faults(path: str) -> Iterator:
    """Gives the disk of an address; what it raises becomes a sentence.

    Raises:
        InputError: there is no such disk or file, or no right to it.
        InstallationError: the package that reads it is missing.
        ServerError: it does not answer.
    """
    try:
        yield _disk(path)
    except (InputError, InstallationError, ServerError):
        raise
    except (FileNotFoundError, PermissionError, NotImplementedError) as error:
        raise InputError(f"{path}: {_reason(error)}") from error
    except Exception as error:
        # Each package has errors of its own for a disk that does not answer.
        raise ServerError(f"{path}: {_reason(error)}") from error


def _disk(path: str):
    """Returns fsspec's file system for an address, or what stands for one."""
    scheme = path.partition("://")[0]
    if scheme in _TENSORFLOW_SCHEMES:
        return _TensorFlowDisk()
    import fsspec

    try:
        # Others write there while we look.
        return fsspec.core.url_to_fs(path, use_listings_cache=False)[0]
    except ImportError as error:
        raise InstallationError(
            f"{path} needs a package that is not installed: {error}"
        ) from error
    except ValueError as error:
        known = ", ".join(f"{one}://" for one in ("gs", "s3", "hdfs"))
        raise InputError(
            f"{path}: {_reason(error)}; known are {known} and others of fsspec"
        ) from error


def _reason(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _addresses(path: str, disk, found: Iterable[str]) -> list[str]:
    """Returns what a disk found, with the scheme and host of an address."""
    start = path.removesuffix(disk._strip_protocol(path))
    return [start + one for one in found]


class _TensorFlowDisk:
    """What is used of fsspec's file systems, by tf.io.gfile."""

    def __init__(self):
        self._gfile = gfile = tensorflow().io.gfile
        self.exists, self.isdir = gfile.exists, gfile.isdir
        self.glob, self.rm_file = gfile.glob, gfile.remove

    def _strip_protocol(self, path: str) -> str:
        return path

    def open(self, path: str, mode: str, **text: str) -> io.IOBase:
        file = io.BufferedReader(_TensorFlowFile(self._gfile.GFile(path, "rb")))
        return file if "b" in mode else io.TextIOWrapper(file, **text)

    def size(self, path: str) -> int:
        return self._gfile.stat(path).length

    def modified(self, path: str) -> datetime.datetime:
        nanoseconds = self._gfile.stat(path).mtime_nsec
        return datetime.datetime.fromtimestamp(nanoseconds / 1e9)

    def find(self, folder: str) -> list[str]:
        return [
            f"{place.rstrip('/')}/{name}"
            for place, _, names in self._gfile.walk(folder)
            for name in names
        ]

    def pipe_file(self, path: str, content: bytes) -> None:
        self._gfile.makedirs(os.path.dirname(path))
        with self._gfile.GFile(path, "wb") as file:
            file.write(content)

    def get_file(self, source: str, target: str) -> None:
        self._gfile.copy(source, target, overwrite=True)

    def put_file(self, source: str, target: str) -> None:
        self._gfile.makedirs(os.path.dirname(target))
        self._gfile.copy(source, target, overwrite=True)

    def mv(self, source: str, target: str) -> None:
        self._gfile.rename(source, target, overwrite=True)


class _TensorFlowFile(io.RawIOBase):
    """A GFile as libraries such as pyarrow want a file to be."""

    def __init__(self, file):
        # Tells of a missing one, which reading would do later.
        file.size()
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        content = self._file.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._file.seek(offset, whence)
        return self._file.tell()

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
