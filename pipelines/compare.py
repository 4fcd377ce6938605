r"""Says which of two models is better on labelled files, and how surely.

    python -m pipelines.compare --first=runs/a --second=saved_models/b \
        --eval_file=test.csv --output_dir=runs/a_or_b

Prints both models' metrics, of classifications McNemar's test, and texts on
which they disagree; with --output_dir also writes comparison.json and
disagreements.csv.
"""

import os

from absl import flags, logging

from bert_tf import quiet, run_dir
from pipelines import app, common_flags, help_page

with help_page.group("Data"):
    _EVAL_FILE = flags.DEFINE_list(
        "eval_file",
        None,
        "Labelled files that neither was trained on: paths and globs.",
    )
common_flags.define_columns()
common_flags.define_label_column()
with help_page.group("Model"):
    _FIRST = flags.DEFINE_string(
        "first", None, "A run folder or an exported SavedModel."
    )
    _SECOND = flags.DEFINE_string("second", None, "Another one.")
with help_page.group("Output"):
    _OUTPUT_DIR = flags.DEFINE_string(
        "output_dir", None, "New or empty folder for the results."
    )
common_flags.define_batch_size("eval_batch_size")


def main(argv: list[str]) -> None:
    """Evaluates both and compares."""
    del argv
    from bert_tf import runs
    from bert_tf.data import examples
    from bert_tf.inference import model_files

    output_dir = _OUTPUT_DIR.value
    if output_dir:
        run_dir.check_new_dir(output_dir)
    infos = [
        model_files.read_info(path) for path in (_FIRST.value, _SECOND.value)
    ]
    labelled = [
        examples.read_labelled(
            _EVAL_FILE.value,
            info.label_type,
            info.class_names,
            common_flags.read_options(),
        )
        for info in infos
    ]
    models = [
        runs.open_model(info, batch_size=flags.FLAGS.eval_batch_size)
        for info in infos
    ]
    with quiet.imports():
        from bert_tf.evaluation import comparison, evaluate
    first, second = map(evaluate.evaluate, models, labelled)
    compared = comparison.compare(first, second)
    table = comparison.disagreements(first, second)
    print(comparison.describe(compared, table))
    if output_dir:
        os.makedirs(output_dir, exist_ok=True)
        comparison.write(output_dir, compared, table)
        logging.info("The comparison is in %s", output_dir)


if __name__ == "__main__":
    app.run_script(main, required=["first", "second", "eval_file"])
