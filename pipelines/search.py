r"""Searches for better settings than the defaults, and says whether they are.

    python -m pipelines.search --train_file=train.csv \
        --output_dir=runs/search --time_budget=30m

Settings that are given stay, the others are varied: learning rate, batch size,
epochs, pooling, layer-wise decay, dropout, frozen layers. Trials are in
trials.csv and search.html. Killed, the same command goes on.
"""

import os

from absl import flags

from bert_tf import quiet
from bert_tf.config import search_space
from bert_tf.config import training as config_lib
from bert_tf.errors import InputError, check_installed
from pipelines import app, common_flags, finetuning_flags, help_page

finetuning_flags.define()
with help_page.group("Training"):
    flags.DEFINE_integer(
        "num_trials",
        None,
        "Trainings beside that with the defaults. Default: 20, or all of "
        "--space=bert_paper.",
    )
    flags.DEFINE_string(
        "time_budget",
        None,
        "Such as 30m, 90s or 2h: no trial begins afterwards, and the last one "
        "ends with its epoch.",
    )
    flags.DEFINE_enum(
        "space",
        "default",
        search_space.SPACES,
        "What is tried: bert_paper is the grid of Devlin et al.: batches of "
        "16 and 32, rates of 5e-5, 3e-5 and 2e-5, 2 to 4 epochs.",
    )
with help_page.group("Model"):
    flags.DEFINE_list(
        "presets", [], "Checkpoints to choose from, beside --preset."
    )


def main(argv: list[str]) -> None:
    """Searches and says what was found."""
    del argv
    config = common_flags.config_from_flags(config_lib.TrainConfig)
    search = common_flags.config_from_flags(search_space.SearchConfig)
    config.check_trackers()
    if config.test_file:
        raise InputError(
            "--test_file: a search looks at no test split, so that it stays "
            "one; ask it afterwards, with pipelines.evaluate"
        )
    check_installed("optuna", "pipelines.search")
    from bert_tf.data import splits

    rows = splits.read_splits(config)
    with quiet.imports():
        from bert_tf.evaluation.report import search_page
        from bert_tf.training import search as search_lib
    summary = search_lib.search(rows, config, search)
    print(search_page.verdict(summary))
    print(
        f"The run is {summary['chosen']}, all trials are in "
        f"{os.path.join(config.output_dir, search_lib.TRIALS)}. Next: open "
        f"{os.path.join(config.output_dir, search_page.PAGE)} in a browser, "
        f"then\n  {app.command('evaluate')} --model={summary['chosen']} "
        "--eval_file=FILE.csv"
    )


if __name__ == "__main__":
    app.run_script(main, required=["train_file", "output_dir"])
