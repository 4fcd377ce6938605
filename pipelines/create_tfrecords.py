r"""Tokenizes labelled files into TFRecord shards that training reads from disk.

    python -m pipelines.create_tfrecords --input_file='big/*.csv' \
        --output_dir=records/train --max_seq_length=64
    python -m pipelines.train --train_file=records/train \
        --validation_file=validation.csv --output_dir=runs/big
    python -m pipelines.create_tfrecords --input_file='big/*.jsonl' \
        --output_dir=/shared/records/train --master=spark://host:7077

For data that are larger than memory, or are trained on many times. Streams:
memory does not grow with the files. The training takes their length; of another
vocabulary it refuses them. With --master a Spark cluster makes them (the extra
`spark`, and Java 17).
"""

from absl import flags, logging

from bert_tf import quiet
from bert_tf.errors import check_installed
from pipelines import app, common_flags, help_page, spark_flags

with help_page.group("Data"):
    _INPUT_FILE = flags.DEFINE_list(
        "input_file", None, "Labelled files: paths and globs, as in training."
    )
common_flags.define_columns("Data")
common_flags.define_label_column()
common_flags.define_text()
with help_page.group("Output"):
    _OUTPUT_DIR = flags.DEFINE_string(
        "output_dir", None, "Folder for the records; new or empty."
    )
    _SHARDS = flags.DEFINE_integer(
        "num_shards", 8, "Number of TFRecord files.", lower_bound=1
    )
spark_flags.define_spark()


def main(argv: list[str]) -> None:
    """Writes the records."""
    del argv
    rows = _by_spark() if flags.FLAGS.master else _here()
    logging.info(
        "%d examples are in %s. Next:\n  %s "
        "--train_file=%s --validation_file=FILE --output_dir=runs/NAME",
        rows,
        _OUTPUT_DIR.value,
        app.command("train"),
        _OUTPUT_DIR.value,
    )


def _here() -> int:
    from bert_tf.data import examples

    options = common_flags.read_options()
    examples.check_files(_INPUT_FILE.value, options)
    with quiet.imports():
        from bert_tf.data import tfrecord_writer
        from bert_tf.presets import presets
        from bert_tf.text.preprocessor import Preprocessor
    preset = presets.resolve(flags.FLAGS.preset)
    return tfrecord_writer.create_records(
        _INPUT_FILE.value,
        _OUTPUT_DIR.value,
        preprocessor=Preprocessor(
            preset.vocabulary, sequence_length=flags.FLAGS.max_seq_length
        ),
        preset=preset.name,
        shards=_SHARDS.value,
        options=options,
    )


def _by_spark() -> int:
    check_installed("pyspark", "--master")
    with quiet.imports():
        from bert_tf.presets import presets
        from bert_tf.spark import records, session, tables
    preset = presets.resolve(flags.FLAGS.preset)
    with session.session(
        "bert_tf create_tfrecords", **spark_flags.settings()
    ) as spark:
        table = tables.read(
            spark, _INPUT_FILE.value, common_flags.read_options(), labelled=True
        )
        logging.info("%s", table.columns.describe())
        return records.create_records(
            table,
            _OUTPUT_DIR.value,
            vocabulary=preset.vocabulary,
            sequence_length=flags.FLAGS.max_seq_length,
            preset=preset.name,
            shards=_SHARDS.value,
            files_read=_INPUT_FILE.value,
        )


if __name__ == "__main__":
    app.run_script(main, required=["input_file", "output_dir"])
