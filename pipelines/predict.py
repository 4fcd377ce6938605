r"""Answers texts with an exported model: arguments, a file or a stream.

    python -m pipelines.predict --model=saved_models/tweets "a text" "another"
    python -m pipelines.predict --model=saved_models/tweets \
        --output_file=predictions.csv "a text" "another"
    python -m pipelines.predict --model=saved_models/tweets \
        --input_file=texts.csv --output_file=predictions.csv
    python -m pipelines.predict --model=saved_models/tweets \
        --input_file=test.csv --submission_file=sample_submission.csv \
        --output_file=submission.csv
    cat texts.txt | python -m pipelines.predict --model=saved_models/tweets \
        --input_file=- > predictions.csv

Files are streamed: they may be larger than memory. The rows keep their order.
"""

import dataclasses

from absl import flags, logging

from bert_tf.errors import InputError, shorten
from pipelines import app, common_flags, help_page, quiet
from pipelines.output import open_output

common_flags.define_stream()
common_flags.define_columns()
common_flags.define_label_names()
common_flags.define_batch_size()
with help_page.group("Output"):
    _SUBMISSION_FILE = flags.DEFINE_string(
        "submission_file",
        None,
        "A competition's sample submission: what is written has its columns, "
        "ids and order.",
    )
with help_page.group("Model"):
    _MODEL = flags.DEFINE_string(
        "model",
        None,
        "A SavedModel: saved_models/NAME (its newest version) or "
        "saved_models/NAME/VERSION.",
    )


def main(argv: list[str]) -> None:
    """Answers the arguments, or the rows of the input files."""
    from bert_tf.inference import batch_prediction, model_files

    texts = argv[1:]
    if bool(texts) == bool(flags.FLAGS.input_file):
        raise InputError(
            "give either texts as arguments or --input_file, one of the two"
        )
    model_files.find_version(_MODEL.value)
    options = common_flags.read_options()
    submission = None
    if _SUBMISSION_FILE.value:
        if texts:
            raise InputError("--submission_file needs --input_file")
        submission = _read_submission(options)
        options = dataclasses.replace(
            options, id_column=options.id_column or submission.id_column
        )
    if texts and not flags.FLAGS.output_file:
        _print_answers(texts)
        return
    if texts:
        ids = [str(i + 1) for i in range(len(texts))]
        batches = iter([(ids, (texts,))])
    else:
        batches = batch_prediction.read_batches(flags.FLAGS.input_file, options)
    with open_output(flags.FLAGS.output_file) as file:
        count = batch_prediction.predict(
            _load,
            batches,
            file,
            submission=submission,
            batch_size=flags.FLAGS.batch_size,
        )
    logging.info("Answered %d texts.", count)


def _read_submission(options):
    from bert_tf.inference import model_files
    from bert_tf.inference.submission import Submission

    info = model_files.read_info(_MODEL.value)
    return Submission(
        _SUBMISSION_FILE.value,
        task=info.task,
        class_names=info.class_names,
        label_names=options.label_names,
    )


def _load():
    with quiet.imports():
        from bert_tf.inference.saved_model_predictor import SavedModelPredictor
    return SavedModelPredictor(_MODEL.value)


def _print_answers(texts: list[str]) -> None:
    predictor = _load()
    if predictor.has_pairs:
        raise InputError(
            "this model takes pairs; give them as a file with --input_file"
        )
    columns = predictor.task.answer_columns
    for text, (answer, _) in zip(
        texts, predictor.predict_rows((texts,)), strict=True
    ):
        shown = [
            f"{float(cell):.4f}" if column == "score" else cell
            for column, cell in zip(columns, answer, strict=True)
        ]
        print("\t".join([*shown, shorten(text)]))


if __name__ == "__main__":
    app.run_script(main, required=["model"], arguments="TEXT ...")
