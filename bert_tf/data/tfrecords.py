"""Tokenized examples on disk: TFRecord shards, an index of each, a manifest.

The index holds where each record starts, so that training reads the rows of a
batch wherever they are: the order is shuffled over the whole data, every row
is met once, and an interrupted training goes on exactly, with a few bytes of
memory a row. Shards hold tf.train.Example with token_ids, first_length and
label; row r is record r // shards of shard r % shards.
"""

import array
import contextlib
import dataclasses
import hashlib
import io
import json
import os
import struct
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from bert_tf import labels as labels_lib
from bert_tf.errors import InputError
from bert_tf.text.vocabulary import WORD_PIECE, Vocabulary

MANIFEST = "manifest.json"
_FORMAT_VERSION = 1
# TFRecord: length, its checksum, the record, its checksum.
_HEADER = struct.Struct("<QI")
_FOOTER_BYTES = 4


@dataclasses.dataclass(frozen=True)
class TokenizedRecords:
    """Tokenized and truncated examples on disk.

    Attributes:
        path: the folder.
        class_names: in the order of the ids.
        labels: <int32>[rows] class ids.
        lengths: <int32>[rows] tokens after truncation.
        token_counts: <int32>[rows] tokens before truncation.
        fingerprint: of the manifest, which has the shards' sizes.
    """

    path: str
    class_names: tuple[str, ...]
    has_pairs: bool
    labels: np.ndarray
    lengths: np.ndarray
    token_counts: np.ndarray
    fingerprint: str
    _offsets: tuple[np.ndarray, ...]

    def gather_function(self) -> Callable[[tf.Tensor], tuple]:
        """Returns a function of rows <int32>[batch], for a tf.data map.

        It returns token ids <int32>[batch, (tokens)] and the lengths up to
        the first [SEP] <int32>[batch].
        """
        shards = len(self._offsets)
        paths = [_shard_path(self.path, i, shards) for i in range(shards)]

        def read(rows: np.ndarray) -> np.ndarray:
            records = np.empty(len(rows), object)
            with contextlib.ExitStack() as stack:
                files: dict[int, io.IOBase] = {}
                # In the order of the disk.
                for i in np.argsort(rows % shards, kind="stable"):
                    shard, record = rows[i] % shards, rows[i] // shards
                    if shard not in files:
                        files[shard] = stack.enter_context(
                            _open(paths[shard], "rb")
                        )
                    files[shard].seek(int(self._offsets[shard][record]))
                    size, _ = _HEADER.unpack(files[shard].read(_HEADER.size))
                    records[i] = files[shard].read(size)
            return records

        def gather(rows: tf.Tensor) -> tuple[tf.RaggedTensor, tf.Tensor]:
            records = tf.numpy_function(read, [rows], tf.string)
            parsed = tf.io.parse_example(
                tf.ensure_shape(records, rows.shape),
                {
                    "token_ids": tf.io.RaggedFeature(
                        tf.int64, row_splits_dtype=tf.int64
                    ),
                    "first_length": tf.io.FixedLenFeature([], tf.int64),
                },
            )
            return (
                tf.cast(parsed["token_ids"], tf.int32),
                tf.cast(parsed["first_length"], tf.int32),
            )

        return gather


def vocabulary_hash(vocabulary: Vocabulary) -> str:
    """Returns a digest of the tokens and of how text meets them."""
    digest = hashlib.sha256("\n".join(vocabulary.tokens).encode())
    digest.update(bytes([vocabulary.lowercase, vocabulary.strip_accents]))
    if vocabulary.kind != WORD_PIECE:
        digest.update(bytes([vocabulary.prefix_space]) + vocabulary.model)
    return digest.hexdigest()


class RecordWriter:
    """Writes examples as they come; the manifest comes last, by `close`.

    Args:
        path: an existing folder.
        shards: number of TFRecord files.
    """

    def __init__(self, path: str, *, shards: int):
        self._path = path
        self._files = [
            tf.io.TFRecordWriter(_shard_path(path, i, shards))
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
        self._sizes[shard] += _HEADER.size + len(record) + _FOOTER_BYTES
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
            with _open(_index_path(self._path, i, shards), "wb") as file:
                file.write(index.getvalue())
        manifest = {
            "format_version": _FORMAT_VERSION,
            "rows": self._rows,
            "shards": shards,
            "shard_bytes": self._sizes,
            "labels": list(self._label_ids),
            **settings,
        }
        with _open(os.path.join(self._path, MANIFEST), "wb") as file:
            file.write(json.dumps(manifest, indent=2).encode() + b"\n")


def is_records(path: str) -> bool:
    """Whether a path is a folder of `create_tfrecords`."""
    return tf.io.gfile.exists(os.path.join(path, MANIFEST))


def open_records(
    path: str, vocabulary: Vocabulary, *, max_seq_length: int
) -> TokenizedRecords:
    """Opens a folder of `create_tfrecords`.

    Raises:
        InputError: it is incomplete, or made with another vocabulary or
            length.
    """
    with _open(os.path.join(path, MANIFEST), "rb") as file:
        content = file.read()
    manifest = json.loads(content)
    if manifest.get("format_version") != _FORMAT_VERSION:
        raise InputError(
            f"{path} is of another version of bert_tf; make it again with "
            "pipelines.create_tfrecords"
        )
    if manifest["vocabulary"] != vocabulary_hash(vocabulary):
        raise InputError(
            f"{path} was tokenized with another vocabulary, that of "
            f"{manifest['preset']}; make it again with pipelines."
            "create_tfrecords and this --preset"
        )
    if manifest["max_seq_length"] != max_seq_length:
        raise InputError(
            f"{path} was cut at --max_seq_length={manifest['max_seq_length']}, "
            f"not {max_seq_length}; pass that length, or make it again"
        )
    shards = manifest["shards"]
    columns: dict[str, list[np.ndarray]] = {}
    for i, size in enumerate(manifest["shard_bytes"]):
        shard_path = _shard_path(path, i, shards)
        found = (
            tf.io.gfile.stat(shard_path).length
            if tf.io.gfile.exists(shard_path)
            else 0
        )
        if found != size:
            raise InputError(
                f"{shard_path} has {found:,} bytes where the manifest says "
                f"{size:,}; copy it again"
            )
        if not tf.io.gfile.exists(_index_path(path, i, shards)):
            raise InputError(
                f"{_index_path(path, i, shards)} is missing; copy it again"
            )
        with _open(_index_path(path, i, shards), "rb") as file:
            with np.load(io.BytesIO(file.read())) as index:
                for name in index.files:
                    columns.setdefault(name, []).append(index[name])
    class_names = labels_lib.class_names(manifest["labels"])
    to_class_id = np.array(
        labels_lib.class_ids(manifest["labels"], class_names), np.int32
    )
    return TokenizedRecords(
        path=path,
        class_names=class_names,
        has_pairs=manifest["has_pairs"],
        labels=to_class_id[_interleave(columns["labels"])],
        lengths=_interleave(columns["lengths"]),
        token_counts=_interleave(columns["token_counts"]),
        fingerprint=hashlib.sha256(content).hexdigest()[:16],
        _offsets=tuple(columns["offsets"]),
    )


def _interleave(columns: list[np.ndarray]) -> np.ndarray:
    shards = len(columns)
    result = np.empty(sum(map(len, columns)), columns[0].dtype)
    for i, column in enumerate(columns):
        result[i::shards] = column
    return result


def _shard_path(path: str, shard: int, shards: int) -> str:
    return os.path.join(path, f"{shard:05d}-of-{shards:05d}.tfrecord")


def _index_path(path: str, shard: int, shards: int) -> str:
    return os.path.join(path, f"{shard:05d}-of-{shards:05d}.index.npz")


def _open(path: str, mode: str):
    # TensorFlow's own file object is slow where Python can do it.
    return tf.io.gfile.GFile(path, mode) if "://" in path else open(path, mode)
