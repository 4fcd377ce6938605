"""Files that are compressed: .gz, .bz2, .xz, and .zip with one member."""

import bz2
import contextlib
import errno
import gzip
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from bert_tf import files
from bert_tf.errors import InputError, list_some

_OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_ZIP = ".zip"
SUFFIXES = (*_OPENERS, _ZIP)
# What an archive made on a Mac holds beside the file.
_NOT_DATA = ("__MACOSX/", ".DS_Store")


def is_compressed(path: str) -> bool:
    """Whether a path's suffix says so."""
    return path.lower().endswith(SUFFIXES)


def inner_name(path: str) -> str:
    """Returns the name of what is compressed: a path without the suffix.

    Raises:
        InputError: it is a .zip file, and has not one member.
    """
    stem, suffix = os.path.splitext(path)
    if suffix.lower() != _ZIP:
        return stem if suffix.lower() in _OPENERS else path
    with _telling_of_damage(path), files.open_file(path, "rb") as file:
        return _member(zipfile.ZipFile(file), path).filename


def read_lines(path: str) -> Iterator[bytes]:
    """Yields the lines of a file, decompressed where its suffix says so.

    Raises:
        InputError: it is damaged, or see `inner_name`.
    """
    suffix = os.path.splitext(path)[1].lower()
    with _telling_of_damage(path), files.open_file(path, "rb") as file:
        if suffix == _ZIP:
            archive = zipfile.ZipFile(file)
            opened: BinaryIO = archive.open(_member(archive, path))
        elif suffix in _OPENERS:
            opened = _OPENERS[suffix](file)
        else:
            opened = file
        yield from opened


def _member(archive: zipfile.ZipFile, path: str) -> zipfile.ZipInfo:
    members = [
        member
        for member in archive.infolist()
        if not member.is_dir()
        and not member.filename.startswith(_NOT_DATA[0])
        and not member.filename.endswith(_NOT_DATA[1])
    ]
    if len(members) != 1:
        names = [member.filename for member in members]
        raise InputError(
            f"{path} holds {len(members)} files, not one"
            + (f" ({list_some(names)})" if names else "")
            + "; unpack it and name those that you want"
        )
    if members[0].flag_bits & 1:
        raise InputError(f"{path} is encrypted; unpack it first")
    return members[0]


@contextlib.contextmanager
def _telling_of_damage(path: str) -> Iterator[None]:
    """Turns what the decompressors raise into an InputError."""
    try:
        yield
    except (
        EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, struct.error,
        NotImplementedError, UnicodeError,
    ) as error:  # fmt: skip
        raise _damage(path, error) from None
    except OSError as error:
        # gzip's and bz2's own have no number; a damaged .zip file sends us to
        # places before its start.
        if error.errno not in (None, errno.EINVAL) or not is_compressed(path):
            raise
        raise _damage(path, error) from None


def _damage(path: str, error: Exception) -> InputError:
    suffix = os.path.splitext(path)[1]
    return InputError(
        f"{path} cannot be decompressed ({error}): it is cut off, or no "
        f"{suffix} file; get it again, or rename it to what it is"
    )
