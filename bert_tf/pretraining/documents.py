"""Raw text files to documents and sentences."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence

from bert_tf import files
from bert_tf.config.read_options import ReadOptions
from bert_tf.data.columns import open_tables
from bert_tf.data.readers import registry
from bert_tf.data.readers.table import Row
from bert_tf.errors import InputError

_RECORD_SUFFIXES = (".tfrecord", ".tfrecords")
# White space after a full stop; NSP needs units of about a sentence, not the
# exact ones.
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])")


def read_documents(
    patterns: Sequence[str], options: ReadOptions = ReadOptions()
) -> Iterator[str]:
    """Yields the documents of files, one after the other.

    Args:
        patterns: paths and globs. In .txt files a blank line ends a document;
            in .tfrecord files each record is a tf.train.Example with one in
            the bytes feature `text` (or the one that `text_column` names); in
            all others each row is one.
        options: how to read them.

    Raises:
        InputError: a file is missing, or not in its format.
    """
    for path in registry.expand_paths(patterns):
        if path.endswith(_RECORD_SUFFIXES):
            documents = _records(path, options.text_column or "text")
        elif registry.format_of(path, options) == "text":
            documents = _paragraphs(registry.open_table(path, options).rows)
        else:
            documents = _rows(path, options)
        for document in documents:
            if document.strip():
                yield document


def check_files(
    patterns: Sequence[str], options: ReadOptions = ReadOptions()
) -> None:
    """Raises InputError where a file is missing, or not in its format.

    Its first document is read; of .tfrecord files, which need TensorFlow,
    nothing.
    """
    for path in registry.expand_paths(patterns):
        if not path.endswith(_RECORD_SUFFIXES):
            next(read_documents([path], options), None)


def sentences(document: str) -> list[str]:
    """Splits a document at line ends and after . ! ?, white space dropped."""
    return [
        stripped
        for line in document.splitlines()
        for part in _SENTENCE_END.split(line)
        if (stripped := part.strip())
    ]


def is_held_out(document: str, *, share: float, seed: int) -> bool:
    """Tells whether a document is of the held-out split.

    By a hash of its words, so that equal documents are on one side.
    """
    words = " ".join(document.lower().split())
    digest = hashlib.sha256(f"{seed} {words}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def _paragraphs(rows: Iterable[Row]) -> Iterator[str]:
    lines: list[str] = []
    for row in rows:
        if row.fields["text"].strip():
            lines.append(row.fields["text"])
        elif lines:
            yield "\n".join(lines)
            lines = []
    if lines:
        yield "\n".join(lines)


def _rows(path: str, options: ReadOptions) -> Iterator[str]:
    for table, columns in open_tables([path], options, labelled=False):
        for row in table.rows:
            yield row.field(columns.text)


def _records(path: str, feature: str) -> Iterator[str]:
    tf = files.tensorflow()
    specification = {feature: tf.io.FixedLenFeature([], tf.string)}
    dataset = tf.data.TFRecordDataset(path).batch(256)
    dataset = dataset.map(
        lambda records: tf.io.parse_example(records, specification)[feature]
    )
    try:
        for batch in dataset.as_numpy_iterator():
            for value in batch:
                yield value.decode("utf-8", "replace")
    except tf.errors.OpError as error:
        raise InputError(
            f"{path}: not TFRecords of tf.train.Example with a bytes feature "
            f"{feature!r} ({error.message.splitlines()[0][:150]}); name the "
            "feature with --text_column"
        ) from error
