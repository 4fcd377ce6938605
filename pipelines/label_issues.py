r"""Finds rows whose labels may be wrong, near duplicates and outliers.

    python -m pipelines.label_issues --train_file=train.csv \
        --output_dir=runs/issues

Trains on all folds of the rows but one, in turn, as pipelines.train
--num_folds does, so that each row is judged by a model that has not seen it:
label_issues.csv has what to look at, the likeliest first, and report.html
shows it. Nothing is changed.
"""

import os

from absl import flags

from bert_tf import quiet, run_dir
from bert_tf.config import training as config_lib
from bert_tf.errors import InputError, check_installed
from pipelines import app, common_flags, finetuning_flags, help_page

finetuning_flags.define()
with help_page.group("Training"):
    _NUM_FOLDS = flags.DEFINE_integer(
        "num_folds", 5, "Into how many folds the rows are split.", lower_bound=2
    )


def main(argv: list[str]) -> None:
    """Trains the folds and lists the issues."""
    del argv
    config = common_flags.config_from_flags(config_lib.TrainConfig)
    config.check_trackers()
    if config.task != "classification":
        raise InputError(
            "pipelines.label_issues is for --task=classification, where a text "
            "has one class of several"
        )
    check_installed("cleanlab", "pipelines.label_issues")
    from bert_tf.data import folds as folds_data
    from bert_tf.data import label_issues

    data = folds_data.read_folds(config, _NUM_FOLDS.value)
    with quiet.imports():
        from bert_tf.training import folds
    summary = folds.train_folds(config, data, with_label_issues=True)
    print(folds.describe(summary))
    for issue, count in summary["label_issues"].items():
        title = label_issues.TITLES[issue]
        print(f"{title}: {count:,} of {len(data.rows):,}")
    path = os.path.join(config.output_dir, label_issues.FILE)
    print(
        f"They are in {path}. Next: open "
        f"{os.path.join(config.output_dir, run_dir.REPORT)} in a browser, mend "
        "the labels, or leave the worst 2% out:\n"
        f"  {app.command('train')} --label_issues_file={path} "
        f"--drop_label_issues=0.02 --train_file=... --output_dir=..."
    )


if __name__ == "__main__":
    app.run_script(main, required=["train_file", "output_dir"])
