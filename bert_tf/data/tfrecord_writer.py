"""Tokenizes labelled files into TFRecord shards, streaming."""

import array
import contextlib
import io
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from bert_tf import files, run_dir
from bert_tf.config.read_options import ReadOptions
from bert_tf.data import encoding, tfrecords
from bert_tf.data.columns import open_tables
from bert_tf.data.input_pipeline import EncodedTexts
from bert_tf.data.readers import registry
from bert_tf.errors import InputError
from bert_tf.text.preprocessor import Preprocessor

_ROWS_AT_A_TIME = 1024


class ShardWriter:
    """Writes one file of records and its index, which `close` makes appear.

    Args:
        path: of the records, see `tfrecords.shard_path`.
        index_path: of the index, see `tfrecords.index_path`.
    """

    def __init__(self, path: str, index_path: str):
        self._aside = contextlib.ExitStack()
        self._file = tf.io.TFRecordWriter(
            self._aside.enter_context(run_dir.written_aside(path))
        )
        self._index_path = index_path
        self._size = 0
        self._columns = {
            "offsets": array.array("q"),
            "lengths": array.array("i"),
            "token_counts": array.array("i"),
            "labels": array.array("i"),
        }

    def write(
        self,
        token_ids: Sequence[int],
        *,
        first_length: int,
        token_count: int,
        label: str,
        label_id: int,
    ) -> None:
        """Writes one example.

        Args:
            token_ids: without padding.
            first_length: see `EncodedTexts`.
            token_count: before they were cut.
            label_id: the label's place among the manifest's.
        """
        features = {
            "token_ids": tf.train.Feature(
                int64_list=tf.train.Int64List(value=token_ids)
            ),
            "first_length": tf.train.Feature(
                int64_list=tf.train.Int64List(value=[first_length])
            ),
            "label": tf.train.Feature(
                bytes_list=tf.train.BytesList(value=[label.encode()])
            ),
        }
        example = tf.train.Example(features=tf.train.Features(feature=features))
        # The same bytes each time.
        record = example.SerializeToString(deterministic=True)
        self._file.write(record)
        values = {
            "offsets": self._size,
            "lengths": len(token_ids),
            "token_counts": token_count,
            "labels": label_id,
        }
        for name, value in values.items():
            self._columns[name].append(value)
        self._size += (
            tfrecords.HEADER.size + len(record) + tfrecords.FOOTER_BYTES
        )

    def write_encoded(
        self,
        encoded: EncodedTexts,
        labels: Sequence[str],
        label_ids: Sequence[int],
        rows: Iterable[int],
    ) -> None:
        """Writes some rows of tokenized texts."""
        for row in rows:
            start, end = encoded.row_splits[row : row + 2]
            self.write(
                encoded.token_ids[start:end],
                first_length=int(encoded.first_lengths[row]),
                token_count=int(encoded.token_counts[row]),
                label=labels[row],
                label_id=label_ids[row],
            )

    def close(self) -> int:
        """Writes the index; returns the bytes of the records' file."""
        self._file.close()
        # In memory first: np.savez seeks, which not every disk allows.
        index = io.BytesIO()
        np.savez(
            index,
            **{
                name: np.array(values) for name, values in self._columns.items()
            },
        )
        with run_dir.written_aside(self._index_path) as aside:
            with open(aside, "wb") as file:
                file.write(index.getvalue())
        self._aside.close()
        return self._size


def write_manifest(
    path: str,
    *,
    rows: int,
    shard_bytes: Sequence[int],
    labels: Sequence[str],
    preprocessor: Preprocessor,
    preset: str,
    has_pairs: bool,
    files_read: Sequence[str],
) -> None:
    """Writes manifest.json, without which a folder is no folder of records.

    Args:
        labels: in the order of their ids.
        files_read: for people.
    """
    manifest = {
        "format_version": tfrecords.FORMAT_VERSION,
        "rows": rows,
        "shards": len(shard_bytes),
        "shard_bytes": list(shard_bytes),
        "labels": list(labels),
        "preset": preset,
        "vocabulary": tfrecords.vocabulary_hash(preprocessor.vocabulary),
        "max_seq_length": preprocessor.sequence_length,
        "has_pairs": has_pairs,
        "files": list(files_read),
    }
    run_dir.write_json(os.path.join(path, tfrecords.MANIFEST), manifest)


def check_output(path: str) -> None:
    """Raises InputError where a folder is not new or empty."""
    if files.glob(os.path.join(path, "*")):
        raise InputError(f"--output_dir={path} is not empty; name another")


def create_records(
    patterns: Sequence[str],
    path: str,
    *,
    preprocessor: Preprocessor,
    preset: str,
    shards: int,
    options: ReadOptions = ReadOptions(),
) -> int:
    """Tokenizes files of any size into a folder; returns the rows.

    Memory goes with the rows only by the 20 bytes each takes in the index. A
    local folder appears by one rename; elsewhere the manifest comes last.

    Args:
        patterns: paths and globs of labelled files.
        path: the folder, new; local or remote.
        preprocessor: gives the tokens, cut at its length.
        preset: the name that the vocabulary is known by.

    Raises:
        InputError: a file is wrong, or the folder is not empty.
    """
    check_output(path)
    rows, has_pairs = 0, False
    label_ids: dict[str, int] = {}
    with staged(path) as folder:
        writers = [
            ShardWriter(
                tfrecords.shard_path(folder, shard, shards),
                tfrecords.index_path(folder, shard, shards),
            )
            for shard in range(shards)
        ]
        for segments, labels in _batches(patterns, options):
            has_pairs = len(segments) == 2
            encoded = encoding.encode(preprocessor, segments)
            ids = [label_ids.setdefault(one, len(label_ids)) for one in labels]
            for shard, writer in enumerate(writers):
                # Row r of all is in shard r % shards.
                first = (shard - rows) % shards
                writer.write_encoded(
                    encoded, labels, ids, range(first, len(labels), shards)
                )
            rows += len(labels)
        write_manifest(
            folder,
            rows=rows,
            shard_bytes=[writer.close() for writer in writers],
            labels=list(label_ids),
            preprocessor=preprocessor,
            preset=preset,
            has_pairs=has_pairs,
            files_read=registry.expand_paths(patterns),
        )
    return rows


def _batches(
    patterns: Sequence[str], options: ReadOptions
) -> Iterator[tuple[tuple[list[str], ...], list[str]]]:
    """Gives texts by segment, and labels; a fault names its line."""
    for table, columns in open_tables(patterns, options):
        logging.info("%s: %s", table.path, columns.describe())
        names = (*columns.texts, columns.label)
        while rows := list(itertools.islice(table.rows, _ROWS_AT_A_TIME)):
            *segments, labels = (
                [row.field(name) for row in rows] for name in names
            )
            for name, fields in zip(names, (*segments, labels), strict=True):
                for row, field in zip(rows, fields, strict=True):
                    if not field.strip():
                        raise InputError(
                            f'{row.path}, line {row.line}: "{name}" is empty; '
                            "remove or fill such rows; pipelines.check_data "
                            "--write_clean=clean.csv writes the others"
                        )
            yield tuple(segments), labels


@contextlib.contextmanager
def staged(path: str) -> Iterator[str]:
    """Gives where to write: a local folder appears by one rename."""
    if files.is_remote(path):
        yield path
        return
    with run_dir.staged(path) as folder:
        yield folder
