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
    python -m pipelines.predict --model=saved_models/tweets --interactive

Files are streamed: they may be larger than memory. The rows keep their order.
--interactive loads the model once and answers each line of standard input at
once: the answer, the other classes' scores, and the words that moved it. The
texts of a pair are separated by a tab, or come one after the other.
"""

import contextlib
import dataclasses
import functools
import os
import sys

from absl import flags, logging

from bert_tf import quiet
from bert_tf.errors import InputError, shorten
from pipelines import app, common_flags, help_page
from pipelines.output import open_output

common_flags.define_stream()
common_flags.define_columns()
common_flags.define_label_names()
common_flags.define_batch_size()
with help_page.group("Data"):
    _INTERACTIVE = flags.DEFINE_boolean(
        "interactive",
        False,
        "Answer the lines of standard input one by one, until it ends or a "
        "line says quit.",
    )
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
        "saved_models/NAME/VERSION; or an ONNX model: saved_models/NAME/onnx, "
        "or its file.",
    )


def main(argv: list[str]) -> None:
    """Answers the arguments, or the rows of the input files, or a person."""
    from bert_tf.inference import batch_prediction, model_files

    texts = argv[1:]
    _check_input(texts)
    model_files.find_exported(_MODEL.value)
    if _INTERACTIVE.value:
        _answer_lines()
        return
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
            functools.partial(_load, threads=os.cpu_count()),
            batches,
            file,
            submission=submission,
            batch_size=flags.FLAGS.batch_size,
        )
    logging.info("Answered %d texts.", count)


def _check_input(texts: list[str]) -> None:
    if _INTERACTIVE.value:
        names = ("input_file", "output_file", "submission_file")
        given = [f"--{name}" for name in names if flags.FLAGS[name].value]
        if texts or given:
            raise InputError(
                "--interactive reads standard input and writes to standard "
                f"output; leave out {', '.join(given or ['the texts'])}"
            )
    elif bool(texts) == bool(flags.FLAGS.input_file):
        raise InputError(
            "give either texts as arguments, --input_file or --interactive, "
            "one of the three"
        )


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


def _load(threads: int | None = None):
    from bert_tf.inference import model_files

    path = model_files.find_exported(_MODEL.value)
    with quiet.imports():
        if model_files.is_onnx(path):
            from bert_tf.inference.onnx_predictor import OnnxPredictor

            return OnnxPredictor(path)
        from bert_tf.inference.saved_model_predictor import SavedModelPredictor
    return SavedModelPredictor(path, threads=threads)


def _print_answers(texts: list[str]) -> None:
    predictor = _load()
    from bert_tf.inference import interactive

    if predictor.has_pairs:
        raise InputError(
            "this model takes pairs; give them as a file with --input_file"
        )
    rows = predictor.predict_rows((texts,))
    for text, (answer, _) in zip(texts, rows, strict=True):
        shown = interactive.format_answer(predictor.task, answer)
        print(f"{shown}\t{shorten(text)}")


def _answer_lines() -> None:
    predictor = _load()
    from bert_tf.evaluation import attribution
    from bert_tf.inference import interactive

    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if is_terminal:
        # Not every Python has it; it gives input() a history.
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401
        print(interactive.introduction(predictor))
    else:
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")
        sys.stdout.reconfigure(encoding="utf-8")
    try:
        for line in interactive.answer_lines(
            predictor,
            _read_line,
            explain=attribution.explain,
            is_terminal=is_terminal,
        ):
            print(line, flush=True)
    except KeyboardInterrupt:
        # As the shell's: without a message.
        raise SystemExit(130) from None


def _read_line(prompt: str) -> str:
    try:
        return input(prompt)
    except (EOFError, KeyboardInterrupt):
        if prompt:
            print()
        raise


if __name__ == "__main__":
    app.run_script(main, required=["model"], arguments="TEXT ...")
