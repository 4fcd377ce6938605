"""Reads files and tables with Spark, columns chosen as everywhere."""

import dataclasses
import json
import os

from pyspark.sql import (
    Column,
    DataFrame,
    DataFrameReader,
    SparkSession,
    functions,
)
from pyspark.sql.types import StringType, StructField, StructType

from bert_tf import files
from bert_tf.config.read_options import ReadOptions
from bert_tf.data import columns as columns_lib
from bert_tf.data.columns import Columns
from bert_tf.data.readers import registry
from bert_tf.errors import InputError

# The columns of every table here; text_pair and label where there are any.
ID, TEXT, TEXT_PAIR, LABEL = "id", "text", "text_pair", "label"
# A row that cannot be read, as it stands in the file; null of all others.
BAD_ROW = "bad_row"
# Lines whose keys are the columns of a file of JSON lines.
_SAMPLE_LINES = 1000


@dataclasses.dataclass(frozen=True)
class SparkTable:
    """Rows as strings.

    Attributes:
        frame: with columns ID, TEXT, TEXT_PAIR, LABEL and BAD_ROW.
        columns: where they come from.
    """

    frame: DataFrame
    columns: Columns

    @property
    def texts(self) -> list[str]:
        """The names of the text columns."""
        return [TEXT, TEXT_PAIR][: len(self.columns.texts)]


def read(
    spark: SparkSession,
    paths: list[str],
    options: ReadOptions,
    *,
    table: str | None = None,
    labelled: bool = False,
) -> SparkTable:
    """Reads files of one format, or a table; nothing is read to the end yet.

    Rows without an id column get Spark's `monotonically_increasing_id`. A
    missing text is an empty one.

    Args:
        paths: files, folders and patterns, as Spark takes them.
        options: how to read them.
        table: the name of one in Spark's catalog, in place of files.
        labelled: whether a label column is needed.

    Raises:
        InputError: a column is missing, or Spark cannot read the format.
    """
    name = table or ",".join(paths)
    frame = spark.table(table) if table else _read_files(spark, paths, options)
    names = [one for one in frame.columns if one != BAD_ROW]
    chosen = columns_lib.choose_columns(
        names, options, path=name, labelled=labelled
    )
    kept = {TEXT: chosen.text, TEXT_PAIR: chosen.text_pair}
    if labelled:
        kept[LABEL] = chosen.label
    return SparkTable(
        frame.select(
            _id(chosen.id).alias(ID),
            *(
                functions.coalesce(
                    _field(frame, column), functions.lit("")
                ).alias(ours)
                for ours, column in kept.items()
                if column
            ),
            (
                functions.col(BAD_ROW)
                if BAD_ROW in frame.columns
                else functions.lit(None)
            )
            .cast("string")
            .alias(BAD_ROW),
        ),
        chosen,
    )


def write(frame: DataFrame, path: str, form: str) -> None:
    """Writes a folder of files: parquet, csv or jsonl.

    A file appears when its task is done, `_SUCCESS` when all are: a task that
    was killed leaves nothing, and is done again.
    """
    writer = frame.write
    if form == "parquet":
        writer.parquet(path)
    elif form == "csv":
        writer.csv(
            path,
            header=True,
            quoteAll=True,
            escape='"',
            ignoreLeadingWhiteSpace=False,
            ignoreTrailingWhiteSpace=False,
        )
    else:
        writer.json(path, ignoreNullFields=False)


def _id(column: str | None) -> Column:
    if column is None:
        return functions.monotonically_increasing_id().cast("string")
    return _as_string(column)


def _field(frame: DataFrame, column: str) -> Column:
    """Returns a column as text, or those that "a,b" joins with a space."""
    if column in frame.columns:
        field = _as_string(column)
    else:
        parts = map(_as_string, column.split(","))
        field = functions.concat_ws(
            " ",
            *(functions.when(functions.trim(one) != "", one) for one in parts),
        )
    # Parquet's strings may be anything, and Python's may not.
    return functions.make_valid_utf8(field)


def _as_string(column: str) -> Column:
    quoted = column.replace("`", "``")
    return functions.col(f"`{quoted}`").cast("string")


def _read_files(
    spark: SparkSession, paths: list[str], options: ReadOptions
) -> DataFrame:
    form = _format(paths, options)
    if form == "parquet":
        return spark.read.parquet(*paths)
    if form == "text":
        lines = spark.read.text(paths)
        return lines.withColumnRenamed("value", "text")
    reader = spark.read
    if options.encoding:
        reader = reader.option("encoding", options.encoding)
    if form == "jsonl":
        fields = _json_fields(reader, paths)
    else:
        reader = _with_csv_options(reader, form, options)
        # Only the first row is read for it.
        fields = list(options.column_names) or reader.csv(paths).columns
        if not options.header and not options.column_names:
            fields = [str(i) for i in range(1, len(fields) + 1)]
    schema = StructType(
        [StructField(name, StringType()) for name in (*fields, BAD_ROW)]
    )
    reader = reader.schema(schema).option("columnNameOfCorruptRecord", BAD_ROW)
    return reader.json(paths) if form == "jsonl" else reader.csv(paths)


def _with_csv_options(
    reader: DataFrameReader, form: str, options: ReadOptions
) -> DataFrameReader:
    return reader.options(
        header=options.header,
        sep=options.delimiter_character or ("\t" if form == "tsv" else ","),
        escape=options.escapechar or '"',
        # Texts may have line breaks; a file is then read by one task.
        multiLine=True,
        # Else a row with too many fields is not seen to be one.
        columnPruning=False,
        # Files whose columns stand otherwise are refused, not mixed up.
        enforceSchema=False,
    )


def _json_fields(reader: DataFrameReader, paths: list[str]) -> list[str]:
    fields: dict[str, None] = {}
    for row in reader.text(paths).head(_SAMPLE_LINES):
        try:
            record = json.loads(row.value)
        except ValueError:
            continue
        if isinstance(record, dict):
            fields.update(dict.fromkeys(record))
    if not fields:
        raise InputError(
            f"{','.join(paths)}: none of the first {_SAMPLE_LINES} lines is a "
            "JSON object"
        )
    return list(fields)


def _some_file(path: str) -> str:
    """Returns a file of a folder, or of what a pattern names."""
    if files.is_remote(path):
        return path
    # As Spark does, without those that begin with a dot or an underscore.
    pattern = os.path.join(path, "[!._]*") if os.path.isdir(path) else path
    found = files.glob(pattern)
    if not found:
        raise InputError(f"{path}: no such file, or a folder without any")
    return found[0]


def _format(paths: list[str], options: ReadOptions) -> str:
    """Returns csv, tsv, jsonl, text or parquet."""
    forms = {
        registry.format_of_file(_some_file(path), options) for path in paths
    }
    if len(forms) > 1:
        raise InputError(
            f"{','.join(paths)}: Spark reads files of one format at a time, "
            f"these are {' and '.join(sorted(forms))}"
        )
    (form,) = forms
    if form not in ("csv", "tsv", "jsonl", "text", "parquet"):
        raise InputError(
            f"{','.join(paths)}: Spark reads no {form}, but CSV, JSONL, text "
            "and Parquet; pipelines.predict reads it on one machine"
        )
    return form
