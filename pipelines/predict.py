"""Classifies texts with an exported model: arguments, a file or a stream.

    python -m pipelines.predict --model=saved_models/tweets "a text" "another"
    python -m pipelines.predict --model=saved_models/tweets \
        --input_file=texts.csv --output_file=predictions.csv
    cat texts.txt | python -m pipelines.predict --model=saved_models/tweets \
        --input_file=- > predictions.csv

Files are streamed: they may be larger than memory. The rows keep their order.
"""

import contextlib
import os
import sys

from absl import flags, logging

from bert_tf.data import reading
from bert_tf.errors import InputError
from bert_tf.evaluation.report import shorten
from bert_tf.serving import stream
from bert_tf.serving.predictor import Predictor
from pipelines import app, common_flags

common_flags.define_columns()
flags.adopt_module_key_flags(common_flags)
_MODEL = flags.DEFINE_string(
    "model",
    None,
    "A SavedModel: saved_models/NAME (its newest version) or "
    "saved_models/NAME/VERSION.",
)
_INPUT_FILE = flags.DEFINE_list(
    "input_file",
    [],
    "Files of texts (.csv, .tsv, .jsonl, or .txt with a text a line): paths "
    "and globs, or - for standard input.",
)
_INPUT_FORMAT = flags.DEFINE_enum(
    "input_format",
    None,
    reading.FORMATS,
    "Format of the input, where the suffix does not say; standard input is "
    "a text a line unless this says otherwise.",
)
_OUTPUT_FILE = flags.DEFINE_string(
    "output_file", None, "CSV file to write; standard output unless given."
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 64, "Texts a step.", lower_bound=1
)


def main(argv: list[str]) -> None:
    """Classifies the arguments, or the rows of the input files."""
    texts = argv[1:]
    if bool(texts) == bool(_INPUT_FILE.value):
        raise InputError(
            "give either texts as arguments or --input_file, one of the two"
        )
    if _INPUT_FILE.value:
        _predict_files()
        return
    predictor = Predictor(_MODEL.value)
    if predictor.has_pairs:
        raise InputError(
            "this model takes pairs; give them as a file with --input_file"
        )
    probabilities = predictor.probabilities((texts,))
    for text, row in zip(texts, probabilities, strict=True):
        best = int(row.argmax())
        print(
            f"{predictor.class_names[best]}\t{row[best]:.4f}\t{shorten(text)}"
        )


def _predict_files() -> None:
    batches = stream.read_batches(
        _INPUT_FILE.value,
        file_format=_INPUT_FORMAT.value,
        **common_flags.column_names(),
    )
    output = _OUTPUT_FILE.value
    aside = f"{output}.tmp" if output else None
    with contextlib.ExitStack() as stack:
        if output:
            file = stack.enter_context(
                open(aside, "w", encoding="utf-8", newline="")
            )
            stack.callback(_remove, aside)
        else:
            file = sys.stdout
            file.reconfigure(encoding="utf-8", newline="")
        count = stream.predict(
            lambda: Predictor(_MODEL.value),
            batches,
            file,
            batch_size=_BATCH_SIZE.value,
        )
        if output:
            file.flush()
            os.replace(aside, output)
    logging.info("Classified %d texts.", count)


def _remove(path: str) -> None:
    if os.path.exists(path):
        os.remove(path)


if __name__ == "__main__":
    flags.mark_flags_as_required(["model"])
    app.run_script(main)
