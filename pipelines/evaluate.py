"""Evaluates a run or an exported model on labelled files.

    python -m pipelines.evaluate --model=runs/first --eval_file=test.csv \
        --output_dir=runs/first_on_test

Prints the metrics beside the majority baseline; with --output_dir also writes
report.html, metrics.json, predictions.csv, errors.csv and the plots.
"""

import os

from absl import flags, logging

from bert_tf import run_dir
from bert_tf.evaluation import evaluate, report
from pipelines import app, common_flags

common_flags.define_columns()
common_flags.define_label_column()
flags.adopt_module_key_flags(common_flags)
_MODEL = flags.DEFINE_string(
    "model", None, "A run folder or an exported SavedModel."
)
_EVAL_FILE = flags.DEFINE_list(
    "eval_file", None, "Labelled files: paths and globs."
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "New or empty folder for the results."
)
_EVAL_BATCH_SIZE = flags.DEFINE_integer(
    "eval_batch_size", 64, "Texts a step.", lower_bound=1
)


def main(argv: list[str]) -> None:
    """Evaluates and says how good it is."""
    del argv
    output_dir = _OUTPUT_DIR.value
    if output_dir:
        run_dir.check_new_dir(output_dir)
    evaluation = evaluate.evaluate(
        _MODEL.value,
        _EVAL_FILE.value,
        batch_size=_EVAL_BATCH_SIZE.value,
        **common_flags.column_names(),
    )
    print(
        report.metrics_table(
            evaluation.subject.task, evaluation.metrics, f"{_MODEL.value}"
        )
    )
    if output_dir:
        os.makedirs(output_dir, exist_ok=True)
        evaluate.write(output_dir, evaluation)
        logging.info(
            "The evaluation is in %s. Next: open %s in a browser.",
            output_dir,
            os.path.join(output_dir, run_dir.REPORT),
        )


if __name__ == "__main__":
    flags.mark_flags_as_required(["model", "eval_file"])
    app.run_script(main)
