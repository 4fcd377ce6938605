"""CoNLL files: one word and tag per line, blank lines between sentences."""

from collections.abc import Iterable, Iterator

from bert_tf.config.read_options import ReadOptions
from bert_tf.data.readers.table import Table
from bert_tf.errors import InputError

# Between the documents of CoNLL 2003.
_DOCUMENT_START = "-DOCSTART-"


def read(lines: Iterator[str], name: str, options: ReadOptions) -> Table:
    """Returns a row for each sentence, see `read_sentences`."""
    del options
    return Table.from_records(read_sentences(lines, name), name)


def read_sentences(
    lines: Iterable[str], name: str
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields the line of each sentence's first word, its text and its tags.

    Args:
        lines: words first, tags last, between tabs or else spaces; without
            tags, a word a line.

    Yields:
        The line and the fields `text` and, where there are tags, `label`:
        words, and tags, with one space between.

    Raises:
        InputError: a line has no word, a word holds a space, or only some
            lines have tags.
    """
    first, words, tags = 0, [], []
    has_tags: bool | None = None
    for number, line in enumerate(lines, 1):
        line = line.rstrip("\r\n")
        if not line.strip() or line.startswith(_DOCUMENT_START):
            if words:
                yield first, _fields(words, tags)
            words, tags = [], []
            continue
        fields = line.split("\t") if "\t" in line else line.split(" ")
        if has_tags is None:
            has_tags = len(fields) > 1
        if (len(fields) > 1) != has_tags or not fields[0] or not fields[-1]:
            raise InputError(
                f"{name}, line {number}: {len(fields)} fields, where a word, a "
                "tab and its tag are needed, as in the lines before"
            )
        if " " in fields[0] or " " in fields[-1]:
            raise InputError(
                f"{name}, line {number}: the word or its tag holds a space"
            )
        if not words:
            first = number
        words.append(fields[0])
        if has_tags:
            tags.append(fields[-1])
    if words:
        yield first, _fields(words, tags)


def _fields(words: list[str], tags: list[str]) -> dict[str, str]:
    fields = {"text": " ".join(words)}
    if tags:
        fields["label"] = " ".join(tags)
    return fields
