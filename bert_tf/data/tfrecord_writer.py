"""Tokenizes labelled files into TFRecord shards, streaming."""

import array
import contextlib
import io
import itertools
import json
import os
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from bert_tf import files, run_dir
from bert_tf.config.read_options import ReadOptions
from bert_tf.data import encoding, tfrecords
from bert_tf.data.columns import open_tables
from bert_tf.data.readers import registry
from bert_tf.errors import InputError
from bert_tf.text.preprocessor import Preprocessor

_ROWS_AT_A_TIME = 1024


class RecordWriter:
    """Writes examples as they come; the manifest comes last, by `close`.

    Args:
        path: an existing folder.
    """

    def __init__(self, path: str, *, shards: int):
        self._path = path
        self._files = [
            tf.io.TFRecordWriter(tfrecords.shard_path(path, i, shards))
            for i in range(shards)
        ]
        self._sizes = [0] * shards
        self._columns = {
            name: [array.array(code) for _ in range(shards)]
            for name, code in (
                ("offsets", "q"), ("lengths", "i"), ("token_counts", "i"),
                ("labels", "i"),
            )
        }  # fmt: skip
        self._label_ids: dict[str, int] = {}
        self._rows = 0

    def write(
        self,
        token_ids: Sequence[int],
        *,
        first_length: int,
        token_count: int,
        label: str,
    ) -> None:
        """Writes one example."""
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
        record = example.SerializeToString()
        shard = self._rows % len(self._files)
        self._files[shard].write(record)
        values = {
            "offsets": self._sizes[shard],
            "lengths": len(token_ids),
            "token_counts": token_count,
            "labels": self._label_ids.setdefault(label, len(self._label_ids)),
        }
        for name, value in values.items():
            self._columns[name][shard].append(value)
        self._sizes[shard] += (
            tfrecords.HEADER.size + len(record) + tfrecords.FOOTER_BYTES
        )
        self._rows += 1

    def close(self, settings: dict) -> None:
        """Ends the shards and writes the indices and the manifest."""
        shards = len(self._files)
        for i, file in enumerate(self._files):
            file.close()
            # In memory first: np.savez seeks, which not every disk allows.
            index = io.BytesIO()
            np.savez(
                index,
                **{
                    name: np.array(columns[i])
                    for name, columns in self._columns.items()
                },
            )
            with files.open_file(
                tfrecords.index_path(self._path, i, shards), "wb"
            ) as file:
                file.write(index.getvalue())
        manifest = {
            "format_version": tfrecords.FORMAT_VERSION,
            "rows": self._rows,
            "shards": shards,
            "shard_bytes": self._sizes,
            "labels": list(self._label_ids),
            **settings,
        }
        with files.open_file(
            os.path.join(self._path, tfrecords.MANIFEST), "wb"
        ) as file:
            file.write(json.dumps(manifest, indent=2).encode() + b"\n")


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
        path: the folder, new; local or whatever tf.io.gfile takes.
        preprocessor: gives the tokens, cut at its length.
        preset: the name that the vocabulary is known by.

    Raises:
        InputError: a file is wrong, or the folder is not empty.
    """
    if tf.io.gfile.exists(path) and tf.io.gfile.listdir(path):
        raise InputError(f"--output_dir={path} is not empty; name another")
    rows = 0
    with _staged(path) as folder:
        writer = RecordWriter(folder, shards=shards)
        has_pairs = False
        for segments, labels in _batches(patterns, options):
            has_pairs = len(segments) == 2
            encoded = encoding.encode(preprocessor, segments)
            for tokens, first_length, count, label in zip(
                np.split(encoded.token_ids, encoded.row_splits[1:-1]),
                encoded.first_lengths,
                encoded.token_counts,
                labels,
                strict=True,
            ):
                writer.write(
                    tokens,
                    first_length=int(first_length),
                    token_count=int(count),
                    label=label,
                )
            rows += len(labels)
        writer.close(
            {
                "preset": preset,
                "vocabulary": tfrecords.vocabulary_hash(
                    preprocessor.vocabulary
                ),
                "max_seq_length": preprocessor.sequence_length,
                "has_pairs": has_pairs,
                "files": list(registry.expand_paths(patterns)),
            }
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
def _staged(path: str) -> Iterator[str]:
    if files.is_remote(path):
        tf.io.gfile.makedirs(path)
        yield path
        return
    with run_dir.staged(path) as folder:
        yield folder
