r"""Evaluates a run or an exported model on labelled files.

    python -m pipelines.evaluate --model=runs/first --eval_file=test.csv \
        --output_dir=runs/first_on_test

Prints the metrics beside the majority baseline; with --output_dir also writes
report.html, metrics.json, predictions.csv, errors.csv and the plots.
"""

import os

from absl import flags, logging

from bert_tf import quiet, run_dir
from pipelines import app, common_flags, help_page

with help_page.group("Data"):
    _EVAL_FILE = flags.DEFINE_list(
        "eval_file", None, "Labelled files: paths and globs."
    )
common_flags.define_columns()
common_flags.define_label_column()
common_flags.define_model()
with help_page.group("Output"):
    _OUTPUT_DIR = flags.DEFINE_string(
        "output_dir", None, "New or empty folder for the results."
    )
common_flags.define_batch_size("eval_batch_size")


def main(argv: list[str]) -> None:
    """Evaluates and says how good it is."""
    del argv
    from bert_tf import runs
    from bert_tf.data import examples
    from bert_tf.inference import model_files

    output_dir = _OUTPUT_DIR.value
    if output_dir:
        run_dir.check_new_dir(output_dir)
    info = model_files.read_info(flags.FLAGS.model)
    labelled = examples.read_labelled(
        _EVAL_FILE.value,
        info.label_type,
        info.class_names,
        common_flags.read_options(),
    )
    model = runs.open_model(info, batch_size=flags.FLAGS.eval_batch_size)
    with quiet.imports():
        from bert_tf.evaluation import artifacts, error_analysis, evaluate
    evaluation = evaluate.evaluate(model, labelled)
    print(
        artifacts.metrics_table(
            model.task, evaluation.metrics, f"{flags.FLAGS.model}"
        )
    )
    if output_dir:
        os.makedirs(output_dir, exist_ok=True)
        artifacts.write_results(
            output_dir,
            [evaluation],
            findings=error_analysis.of_model(model, evaluation),
            run_path=model.path if model.is_run else None,
        )
        logging.info(
            "The evaluation is in %s. Next: open %s in a browser.",
            output_dir,
            os.path.join(output_dir, run_dir.REPORT),
        )


if __name__ == "__main__":
    app.run_script(main, required=["model", "eval_file"])
