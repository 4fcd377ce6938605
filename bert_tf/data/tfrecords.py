"""Tokenized examples on disk: TFRecord shards, indexes and a manifest.

The index holds where each record starts, so that training reads the rows of a
batch wherever they are: the order is shuffled over the whole data, every row
is met once, and an interrupted training resumes exactly, with a few bytes of
memory a row. Shards hold tf.train.Example with token_ids, first_length and
label; row r is record r // shards of shard r % shards.
"""

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import struct

import numpy as np

from bert_tf import files
from bert_tf import labels as labels_lib
from bert_tf.errors import InputError
from bert_tf.text.vocabulary import WORD_PIECE, Vocabulary

MANIFEST = "manifest.json"
FORMAT_VERSION = 1
# TFRecord: length, its checksum, the record, its checksum.
HEADER = struct.Struct("<QI")
FOOTER_BYTES = 4


@dataclasses.dataclass(frozen=True)
class TokenizedRecords:
    """Tokenized and truncated examples on disk.

    Attributes:
        path: the folder.
        max_seq_length: where texts were cut, in tokens.
        class_names: in the order of the ids.
        labels: <int32>[rows] class ids.
        lengths: <int32>[rows] tokens after truncation.
        token_counts: <int32>[rows] tokens before truncation.
        fingerprint: of the manifest, which has the shards' sizes.
    """

    path: str
    max_seq_length: int
    class_names: tuple[str, ...]
    has_pairs: bool
    labels: np.ndarray
    lengths: np.ndarray
    token_counts: np.ndarray
    fingerprint: str
    _offsets: tuple[np.ndarray, ...]
    _preset: str
    _vocabulary: str

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Returns the serialized tf.train.Examples <object>[rows]."""
        shards = len(self._offsets)
        records = np.empty(len(rows), object)
        with contextlib.ExitStack() as stack:
            opened: dict[int, io.IOBase] = {}
            # In the order of the disk.
            for i in np.argsort(rows % shards, kind="stable"):
                shard, record = rows[i] % shards, rows[i] // shards
                if shard not in opened:
                    path = shard_path(self.path, shard, shards)
                    opened[shard] = stack.enter_context(
                        files.open_file(path, "rb")
                    )
                opened[shard].seek(int(self._offsets[shard][record]))
                size, _ = HEADER.unpack(opened[shard].read(HEADER.size))
                records[i] = opened[shard].read(size)
        return records

    def check_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Raises InputError unless they were tokenized with a vocabulary."""
        if self._vocabulary != vocabulary_hash(vocabulary):
            raise InputError(
                f"{self.path} was tokenized with another vocabulary, that of "
                f"{self._preset}; make it again with pipelines."
                "create_tfrecords and this --preset"
            )


def vocabulary_hash(vocabulary: Vocabulary) -> str:
    """Returns a digest of the tokens and of how text meets them."""
    digest = hashlib.sha256("\n".join(vocabulary.tokens).encode())
    digest.update(bytes([vocabulary.lowercase, vocabulary.strip_accents]))
    if vocabulary.kind != WORD_PIECE:
        digest.update(bytes([vocabulary.prefix_space]) + vocabulary.model)
    return digest.hexdigest()


def is_records(path: str) -> bool:
    """Whether a path is a folder of `create_tfrecords`."""
    return files.exists(os.path.join(path, MANIFEST))


def open_records(path: str, *, max_seq_length: int | None) -> TokenizedRecords:
    """Opens a folder of `create_tfrecords`.

    Raises:
        InputError: it is incomplete, or made with another length than is given.
    """
    with files.open_file(os.path.join(path, MANIFEST), "rb") as file:
        content = file.read()
    manifest = json.loads(content)
    if manifest.get("format_version") != FORMAT_VERSION:
        raise InputError(
            f"{path} is of another version of bert_tf; make it again with "
            "pipelines.create_tfrecords"
        )
    if max_seq_length not in (None, manifest["max_seq_length"]):
        raise InputError(
            f"{path} was cut at --max_seq_length={manifest['max_seq_length']}, "
            f"not {max_seq_length}; pass that length, or make it again"
        )
    shards = manifest["shards"]
    columns: dict[str, list[np.ndarray]] = {}
    for i, size in enumerate(manifest["shard_bytes"]):
        shard = shard_path(path, i, shards)
        num_bytes = files.size(shard)
        if num_bytes != size:
            raise InputError(
                f"{shard} has {num_bytes:,} bytes where the manifest says "
                f"{size:,}; copy it again"
            )
        if not files.exists(index_path(path, i, shards)):
            raise InputError(
                f"{index_path(path, i, shards)} is missing; copy it again"
            )
        with files.open_file(index_path(path, i, shards), "rb") as file:
            with np.load(io.BytesIO(file.read())) as index:
                for name in index.files:
                    columns.setdefault(name, []).append(index[name])
    class_names = labels_lib.class_names(manifest["labels"])
    to_class_id = np.array(
        labels_lib.class_ids(manifest["labels"], class_names), np.int32
    )
    return TokenizedRecords(
        path=path,
        max_seq_length=manifest["max_seq_length"],
        class_names=class_names,
        has_pairs=manifest["has_pairs"],
        labels=to_class_id[_interleave(columns["labels"])],
        lengths=_interleave(columns["lengths"]),
        token_counts=_interleave(columns["token_counts"]),
        fingerprint=hashlib.sha256(content).hexdigest()[:16],
        _offsets=tuple(columns["offsets"]),
        _preset=manifest["preset"],
        _vocabulary=manifest["vocabulary"],
    )


def _interleave(columns: list[np.ndarray]) -> np.ndarray:
    shards = len(columns)
    result = np.empty(sum(map(len, columns)), columns[0].dtype)
    for i, column in enumerate(columns):
        result[i::shards] = column
    return result


def shard_path(path: str, shard: int, shards: int) -> str:
    """Returns where a shard is."""
    return os.path.join(path, f"{shard:05d}-of-{shards:05d}.tfrecord")


def index_path(path: str, shard: int, shards: int) -> str:
    """Returns where the index of a shard is."""
    return os.path.join(path, f"{shard:05d}-of-{shards:05d}.index.npz")
