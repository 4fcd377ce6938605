"""Tokenizes labelled files into TFRecord shards that training reads from disk.

    python -m pipelines.create_tfrecords --input_file='big/*.csv' \
        --output_dir=records/train --max_seq_length=64
    python -m pipelines.train --train_file=records/train --max_seq_length=64 \
        --validation_file=validation.csv --output_dir=runs/big

For data that are larger than memory, or are trained on many times. Streams:
memory does not grow with the files. Vocabulary and length must be those of the
training; it refuses others.
"""

from absl import flags, logging

from bert_tf.data import record_creation
from bert_tf.errors import InputError
from bert_tf.models import presets
from bert_tf.text.preprocessing import Preprocessor
from pipelines import app, common_flags

common_flags.define_columns()
common_flags.define_label_column()
common_flags.define_text()
flags.adopt_module_key_flags(common_flags)
_INPUT_FILE = flags.DEFINE_list(
    "input_file", None, "Labelled files: paths and globs, as in training."
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder for the records; new or empty."
)
_SHARDS = flags.DEFINE_integer(
    "num_shards", 8, "Number of TFRecord files.", lower_bound=1
)


def main(argv: list[str]) -> None:
    """Writes the records."""
    if len(argv) > 1:
        raise InputError(f"name files with --input_file, not {argv[1]}")
    length = flags.FLAGS.max_seq_length
    preset = presets.resolve(flags.FLAGS.preset)
    rows = record_creation.create_records(
        _INPUT_FILE.value,
        _OUTPUT_DIR.value,
        preprocessor=Preprocessor(preset.vocabulary, sequence_length=length),
        preset=preset.name,
        shards=_SHARDS.value,
        **common_flags.column_names(),
    )
    logging.info(
        "%d examples are in %s. Next:\n  python -m pipelines.train "
        "--train_file=%s --validation_file=FILE --max_seq_length=%d "
        "--output_dir=runs/NAME",
        rows,
        _OUTPUT_DIR.value,
        _OUTPUT_DIR.value,
        length,
    )


if __name__ == "__main__":
    flags.mark_flags_as_required(["input_file", "output_dir"])
    app.run_script(main)
