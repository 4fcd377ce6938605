"""Bytes to lines of text."""

import codecs
import itertools
import re
from collections.abc import Iterable, Iterator

from bert_tf.errors import InputError

# The longer ones first: UTF-32's little-endian one begins as UTF-16's.
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# A line feed is not one byte 0x0A in these, or means something else.
_NOT_BY_LINES = ("utf-16", "utf-32", "utf-7", "iso2022", "hz", "cp037")
# Above this share of zero bytes, a line is no UTF-8.
_MANY_ZEROS = 0.25


def decode_lines(
    lines: Iterable[bytes], name: str, encoding: str | None
) -> Iterator[str]:
    r"""Yields lines with their ends: \n, \r\n, or \r where there is no other.

    Args:
        lines: of a file, each up to a byte 0x0A, which it includes.
        name: of the file, for messages.
        encoding: of Python's codecs; None for UTF-8, or what a byte order mark
            says.

    Raises:
        InputError: the bytes are not of this encoding.
    """
    lines = iter(lines)
    first = next(lines, b"")
    codec = codecs.lookup(encoding).name if encoding else None
    for mark, marked in _MARKS.items():
        if first.startswith(mark) and codec in (None, "utf-8"):
            codec = marked
        # That of UTF-16 and UTF-32 is read by a codec that names no order.
        if first.startswith(mark) and codec not in ("utf-16", "utf-32"):
            first = first.removeprefix(mark)
    zeros = first.count(b"\0")
    if codec is None and zeros > _MANY_ZEROS * len(first):
        order = "be" if first.startswith(b"\0") else "le"
        raise InputError(
            f"{name} seems to be UTF-16 without a byte order mark; pass "
            f"--encoding=utf-16-{order}"
        )
    lines = itertools.chain([first] if first else [], lines)
    codec = codec or "utf-8"
    if codec.startswith(_NOT_BY_LINES):
        decoded = _by_stream(lines, name, codec)
    else:
        decoded = _by_lines(lines, name, codec)
    return _with_line_ends(decoded)


def _by_lines(lines: Iterable[bytes], name: str, codec: str) -> Iterator[str]:
    has_others = False
    for number, line in enumerate(lines, 1):
        try:
            yield line.decode(codec)
        except UnicodeDecodeError as error:
            remedy = f"pass {_other_encoding(codec)}"
            if has_others and codec == "utf-8":
                remedy = "lines before it are, so that it has to be mended"
            raise InputError(
                f"{name}, line {number}: byte {error.start + 1} "
                f"(0x{line[error.start]:02x}) is not {codec.upper()}; {remedy}"
            ) from None
        has_others = has_others or not line.isascii()


def _by_stream(chunks: Iterable[bytes], name: str, codec: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(codec)()
    number, rest = 1, ""
    try:
        for chunk in itertools.chain(chunks, [None]):
            rest += decoder.decode(chunk or b"", final=chunk is None)
            *lines, rest = rest.split("\n")
            for line in lines:
                yield f"{line}\n"
                number += 1
    except UnicodeError as error:
        raise InputError(
            f"{name}, from line {number} on, is not {codec.upper()} ({error}); "
            f"pass {_other_encoding(codec)}"
        ) from None
    if rest:
        yield rest


def _other_encoding(codec: str) -> str:
    if codec == "utf-8":
        return (
            "the encoding that it was written in: --encoding=cp1252 for "
            "Western Europe, else such as cp1251, gb18030 or shift_jis"
        )
    return "another --encoding"


def _with_line_ends(lines: Iterator[str]) -> Iterator[str]:
    r"""Cuts a file without \n at each \r, as old spreadsheets end lines."""
    first = next(lines, None)
    if first is None:
        return
    if not first.endswith("\n") and "\r" in first:
        # No other line follows a line without end.
        yield from re.findall(r"[^\r]*\r|[^\r]+", first)
        return
    yield first
    yield from lines
