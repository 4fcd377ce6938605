"""Answers texts with an exported model: arguments, a file or a stream.

    python -m pipelines.predict --model=saved_models/tweets "a text" "another"
    python -m pipelines.predict --model=saved_models/tweets \
        --output_file=predictions.csv "a text" "another"
    python -m pipelines.predict --model=saved_models/tweets \
        --input_file=texts.csv --output_file=predictions.csv
    cat texts.txt | python -m pipelines.predict --model=saved_models/tweets \
        --input_file=- > predictions.csv

Files are streamed: they may be larger than memory. The rows keep their order.
"""

from collections.abc import Iterator

from absl import flags, logging

from bert_tf.errors import InputError
from bert_tf.evaluation.report import shorten
from bert_tf.serving import stream
from bert_tf.serving.predictor import Predictor
from pipelines import app, common_flags
from pipelines.output import open_output

common_flags.define_columns()
common_flags.define_stream()
common_flags.define_batch_size()
flags.adopt_module_key_flags(common_flags)
_MODEL = flags.DEFINE_string(
    "model",
    None,
    "A SavedModel: saved_models/NAME (its newest version) or "
    "saved_models/NAME/VERSION.",
)


def main(argv: list[str]) -> None:
    """Answers the arguments, or the rows of the input files."""
    texts = argv[1:]
    if bool(texts) == bool(flags.FLAGS.input_file):
        raise InputError(
            "give either texts as arguments or --input_file, one of the two"
        )
    if flags.FLAGS.input_file:
        _write_predictions(
            stream.read_batches(
                flags.FLAGS.input_file,
                file_format=flags.FLAGS.input_format,
                **common_flags.column_names(),
            )
        )
        return
    if flags.FLAGS.output_file:
        ids = [str(i + 1) for i in range(len(texts))]
        _write_predictions(iter([(ids, (texts,))]))
        return
    predictor = Predictor(_MODEL.value)
    if predictor.has_pairs:
        raise InputError(
            "this model takes pairs; give them as a file with --input_file"
        )
    columns = predictor.task.answer_columns
    for text, (answer, _) in zip(texts, predictor.cells((texts,)), strict=True):
        shown = [
            f"{float(cell):.4f}" if column == "score" else cell
            for column, cell in zip(columns, answer, strict=True)
        ]
        print("\t".join([*shown, shorten(text)]))


def _write_predictions(batches: Iterator[stream.Batch]) -> None:
    with open_output(flags.FLAGS.output_file) as file:
        count = stream.predict(
            lambda: Predictor(_MODEL.value),
            batches,
            file,
            batch_size=flags.FLAGS.batch_size,
        )
    logging.info("Answered %d texts.", count)


if __name__ == "__main__":
    flags.mark_flags_as_required(["model"])
    app.run_script(main)
