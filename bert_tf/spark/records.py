"""Tokenizes a labelled Spark table into TFRecord shards.

They are those of `tfrecord_writer.create_records`: row r is record r // shards
of shard r % shards, where rows are numbered as Spark reads them, so that a
single file gives the same bytes.
"""

import functools
import itertools
import os
from collections.abc import Iterator, Sequence

import pandas as pd
from pyspark.sql import DataFrame, functions

from bert_tf import files, quiet
from bert_tf.data import tfrecords
from bert_tf.errors import InputError
from bert_tf.spark import tables
from bert_tf.spark.tables import SparkTable
from bert_tf.text.vocabulary import Vocabulary

# TensorFlow is imported quietly, in functions: Spark's Python processes import
# this file, too.

# Of monotonically_increasing_id: the bits below are a row's place in its
# partition, the others the partition's number.
_PLACE_BITS = 33


def create_records(
    table: SparkTable,
    path: str,
    *,
    vocabulary: Vocabulary,
    sequence_length: int,
    preset: str,
    shards: int,
    files_read: Sequence[str],
) -> int:
    """Tokenizes a table into a folder; returns the rows.

    The table is read three times: to count, to find the labels, and to
    tokenize. Each shard is sorted and written by one task, and appears when
    it is whole, so that one that is done again is there once.

    Args:
        table: labelled, see `tables.read`.
        path: the folder, new; where all executors write. A local one appears
            by one rename; elsewhere the manifest comes last.
        vocabulary: gives the tokens, cut at `sequence_length`.
        preset: the name that the vocabulary is known by.
        files_read: for the manifest.

    Raises:
        InputError: the folder is not empty, a row cannot be read or lacks text
            or label, or executors write to disks of their own.
    """
    with quiet.imports():
        from bert_tf.data import tfrecord_writer
        from bert_tf.text.preprocessor import Preprocessor
    tfrecord_writer.check_output(path)
    frame, rows = _numbered(table)
    first = frame.groupBy(tables.LABEL).agg(functions.min("row").alias("row"))
    labels = [one[tables.LABEL] for one in first.orderBy("row").collect()]
    with tfrecord_writer.staged(path) as folder:
        write = functools.partial(
            _write_shards,
            folder=os.path.abspath(folder)
            if not files.is_remote(folder)
            else folder,
            shards=shards,
            vocabulary=vocabulary,
            sequence_length=sequence_length,
            texts=table.texts,
            label_ids={label: i for i, label in enumerate(labels)},
        )
        written = (
            frame.withColumn("shard", functions.col("row") % shards)
            .repartitionByRange(shards, "shard")
            .sortWithinPartitions("shard", "row")
            .mapInPandas(write, "shard long, bytes long, rows long")
            .collect()
        )
        sizes = {one["shard"]: one["bytes"] for one in written}
        for shard in range(shards):
            # Fewer rows than shards leave some empty.
            if shard not in sizes:
                sizes[shard] = tfrecord_writer.ShardWriter(
                    tfrecords.shard_path(folder, shard, shards),
                    tfrecords.index_path(folder, shard, shards),
                ).close()
            elif not files.exists(tfrecords.shard_path(folder, shard, shards)):
                raise InputError(
                    f"--output_dir={path} is not the same folder on all "
                    "machines: shards were written that are not here; name "
                    "one on a disk that all see"
                )
        if sum(one["rows"] for one in written) != rows:
            raise InputError(
                "the table changed while it was read: its rows are not as many "
                "as when they were counted"
            )
        tfrecord_writer.write_manifest(
            folder,
            rows=rows,
            shard_bytes=[sizes[shard] for shard in range(shards)],
            labels=labels,
            preprocessor=Preprocessor(
                vocabulary, sequence_length=sequence_length
            ),
            preset=preset,
            has_pairs=len(table.texts) == 2,
            files_read=files_read,
        )
    return rows


def _numbered(table: SparkTable) -> tuple[DataFrame, int]:
    """Returns the rows with their number, 0, 1, ..., and how many they are.

    Raises:
        InputError: one cannot be read, or lacks text or label; or there are
            none.
    """
    position = functions.monotonically_increasing_id()
    frame = table.frame.withColumn("position", position).withColumn(
        "part", functions.shiftright("position", _PLACE_BITS)
    )
    needed = [*table.texts, tables.LABEL]
    lacks = functions.lit(False)
    for name in needed:
        lacks = lacks | (functions.trim(name) == "")
    is_bad = functions.col(tables.BAD_ROW).isNotNull()
    shown = functions.coalesce(
        tables.BAD_ROW, functions.to_json(functions.struct(*needed))
    )
    parts = (
        frame.groupBy("part")
        .agg(
            functions.count(functions.lit(1)).alias("rows"),
            functions.count_if(is_bad).alias("bad"),
            functions.count_if(lacks & ~is_bad).alias("lacking"),
            functions.min(functions.when(is_bad | lacks, shown)).alias("one"),
        )
        .orderBy("part")
        .collect()
    )
    rows, bad, lacking = (
        sum(part[name] for part in parts) for name in ("rows", "bad", "lacking")
    )
    if bad or lacking:
        example = next(part["one"] for part in parts if part["one"] is not None)
        raise InputError(
            f"{bad:,} of {rows:,} rows cannot be read, and {lacking:,} lack a "
            f"text or a label, such as {example[:200]}; remove or mend them"
        )
    if not rows:
        raise InputError("there are no rows")
    ends = itertools.accumulate(part["rows"] for part in parts)
    of_part = frame.sparkSession.createDataFrame(
        [
            (part["part"], end - part["rows"])
            for part, end in zip(parts, ends, strict=True)
        ],
        "part long, start long",
    )
    place = functions.col("position").bitwiseAND((1 << _PLACE_BITS) - 1)
    return (
        frame.join(functions.broadcast(of_part), "part").select(
            (functions.col("start") + place).alias("row"), *needed
        ),
        rows,
    )


def _write_shards(
    frames: Iterator[pd.DataFrame],
    *,
    folder: str,
    shards: int,
    vocabulary: Vocabulary,
    sequence_length: int,
    texts: list[str],
    label_ids: dict[str, int],
) -> Iterator[pd.DataFrame]:
    """Writes rows that are sorted by shard; yields what was written."""
    with quiet.imports():
        from bert_tf.data import encoding, tfrecord_writer

    preprocessor = _preprocessor(vocabulary, sequence_length)
    writer, current, count = None, None, 0

    def end() -> pd.DataFrame:
        return pd.DataFrame(
            {"shard": [current], "bytes": [writer.close()], "rows": [count]}
        )

    for frame in frames:
        encoded = encoding.encode(
            preprocessor, tuple(list(frame[name]) for name in texts)
        )
        labels = list(frame[tables.LABEL])
        ids = [label_ids[label] for label in labels]
        groups = itertools.groupby(
            range(len(frame)), key=frame["shard"].tolist().__getitem__
        )
        for shard, rows in groups:
            if shard != current:
                if writer is not None:
                    yield end()
                current, count = shard, 0
                writer = tfrecord_writer.ShardWriter(
                    tfrecords.shard_path(folder, shard, shards),
                    tfrecords.index_path(folder, shard, shards),
                )
            rows = list(rows)
            writer.write_encoded(encoded, labels, ids, rows)
            count += len(rows)
    if writer is not None:
        yield end()


# A Python process of Spark's tokenizes for many tasks, one after the other.
@functools.lru_cache(maxsize=1)
def _preprocessor(vocabulary: Vocabulary, sequence_length: int):
    from bert_tf.text.preprocessor import Preprocessor

    return Preprocessor(vocabulary, sequence_length=sequence_length)
