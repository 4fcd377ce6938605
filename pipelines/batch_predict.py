r"""Answers tables of any size on a Spark cluster, with a SavedModel.

    python -m pipelines.batch_predict --model=saved_models/tweets \
        --input='texts/*.parquet' --output=answers
    python -m pipelines.batch_predict --model=saved_models/tweets \
        --master=spark://host:7077 --conf=spark.executor.cores=4 \
        --input=s3a://bucket/texts --input_format=csv --output=s3a://bucket/out
    cp "$(which bert-tf-batch-predict)" batch_predict.py
    spark-submit --master=yarn batch_predict.py --model=saved_models/tweets \
        --input_table=news.texts --output=answers

Needs the extra `spark` and Java 17, and on a cluster bert_tf in the executors'
Python; the model is shipped with the job. The output is a folder of files with
id, texts and all columns of pipelines.predict, in no order. Rows that cannot be
read are counted and written aside. On one machine pipelines.predict does.
"""

import os

from absl import flags, logging

from bert_tf import files
from bert_tf.errors import InputError, check_installed
from pipelines import app, common_flags, help_page, spark_flags

common_flags.define_columns()
common_flags.define_batch_size()
with help_page.group("Model"):
    _MODEL = flags.DEFINE_string(
        "model",
        None,
        "A SavedModel: saved_models/NAME (its newest version) or "
        "saved_models/NAME/VERSION.",
    )
with help_page.group("Data"):
    _INPUT = flags.DEFINE_list(
        "input",
        [],
        "Files of texts (CSV, TSV, JSONL, text, Parquet), or a folder of such: "
        "paths and patterns as Spark takes them.",
    )
    _INPUT_TABLE = flags.DEFINE_string(
        "input_table", None, "A table of Spark's catalog, in place of --input."
    )
with help_page.group("Output"):
    _OUTPUT = flags.DEFINE_string(
        "output", None, "Folder to write to, new; one that all executors see."
    )
    _OUTPUT_FORMAT = flags.DEFINE_enum(
        "output_format",
        "parquet",
        ["parquet", "csv", "jsonl"],
        "Format of the files in it.",
    )
    _BAD_ROWS = flags.DEFINE_string(
        "bad_rows",
        None,
        "Folder for rows that cannot be read, as JSON lines; written if there "
        "are any. Default: the name of --output with _bad_rows.",
    )
spark_flags.define_spark()


def main(argv: list[str]) -> None:
    """Answers the rows of the input."""
    del argv
    from bert_tf.inference import model_files

    if bool(_INPUT.value) == bool(_INPUT_TABLE.value):
        raise InputError("give either --input or --input_table")
    for path in (_OUTPUT.value, _BAD_ROWS.value):
        if path and not files.is_remote(path) and os.path.exists(path):
            raise InputError(f"{path} is there already; name a new folder")
    model_files.read_info(_MODEL.value)
    options = common_flags.read_options()
    check_installed("pyspark", "pipelines.batch_predict")
    # No TensorFlow yet: it is imported while the executors start.
    from bert_tf.spark import prediction, session, tables

    with session.session(
        "bert_tf batch_predict",
        whole_executors=True,
        **spark_flags.settings(),
    ) as spark:
        # First: the executors start meanwhile.
        answer = prediction.predict_udf(
            _MODEL.value, batch_size=flags.FLAGS.batch_size
        )
        table = tables.read(
            spark, _INPUT.value, options, table=_INPUT_TABLE.value
        )
        logging.info("%s", table.columns.describe())
        counts = prediction.batch_predict(
            table,
            answer,
            _OUTPUT.value,
            form=_OUTPUT_FORMAT.value,
            bad_rows=_BAD_ROWS.value,
        )
    logging.info("Answered %d texts, in %s.", counts.answered, _OUTPUT.value)


if __name__ == "__main__":
    app.run_script(main, required=["model", "output"])
