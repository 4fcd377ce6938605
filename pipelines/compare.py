"""Says which of two models is better on labelled files, and if by chance.

    python -m pipelines.compare --first=runs/a --second=saved_models/b \
        --eval_file=test.csv --output_dir=runs/a_or_b

Prints both models' metrics, of classifications McNemar's test, and texts on
which they disagree; with --output_dir also writes comparison.json and
disagreements.csv.
"""

import os

from absl import flags, logging

from bert_tf import run_dir
from bert_tf.evaluation import comparison, disagreements, evaluate
from pipelines import app, common_flags

common_flags.define_columns()
common_flags.define_label_column()
flags.adopt_module_key_flags(common_flags)
_FIRST = flags.DEFINE_string(
    "first", None, "A run folder or an exported SavedModel."
)
_SECOND = flags.DEFINE_string("second", None, "Another one.")
_EVAL_FILE = flags.DEFINE_list(
    "eval_file",
    None,
    "Labelled files that neither was trained on: paths and globs.",
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "New or empty folder for the results."
)
_EVAL_BATCH_SIZE = flags.DEFINE_integer(
    "eval_batch_size", 64, "Texts a step.", lower_bound=1
)


def main(argv: list[str]) -> None:
    """Evaluates both and compares."""
    del argv
    output_dir = _OUTPUT_DIR.value
    if output_dir:
        run_dir.check_new_dir(output_dir)
    first, second = (
        evaluate.evaluate(
            model,
            _EVAL_FILE.value,
            batch_size=_EVAL_BATCH_SIZE.value,
            **common_flags.column_names(),
        )
        for model in (_FIRST.value, _SECOND.value)
    )
    found = comparison.compare(first, second)
    table = disagreements.find(first, second)
    print(comparison.describe(found, table))
    if output_dir:
        os.makedirs(output_dir, exist_ok=True)
        comparison.write(output_dir, found, table)
        logging.info("The comparison is in %s", output_dir)


if __name__ == "__main__":
    flags.mark_flags_as_required(["first", "second", "eval_file"])
    app.run_script(main)
