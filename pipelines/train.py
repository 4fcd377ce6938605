r"""Fine-tunes BERT on files of labelled texts and writes a run folder.

    python -m pipelines.train --train_file=train.csv --test_file=test.csv \
        --output_dir=runs/first

The run folder holds the best checkpoint, metrics, predictions, plots and
flags.txt, which repeats the run: --flagfile=runs/first/flags.txt.
"""

import os

from absl import flags, logging

from bert_tf import quiet, run_dir
from bert_tf.config import training as config_lib
from bert_tf.errors import InputError
from pipelines import app, common_flags, finetuning_flags, help_page

_MODELS_DIR = "saved_models"

finetuning_flags.define()
with help_page.group("Advanced"):
    _NUM_SEEDS = flags.DEFINE_integer(
        "num_seeds",
        1,
        "Train so many times, with --seed and the numbers after it, each in a "
        "folder below --output_dir, and report mean and standard deviation.",
        lower_bound=1,
    )
    _NUM_FOLDS = flags.DEFINE_integer(
        "num_folds",
        1,
        "Split the training rows into so many folds and train on all but one, "
        "in turn, each in a folder below --output_dir: oof_predictions.csv has "
        "every row, predicted by the model that has not seen it.",
        lower_bound=1,
    )
    _EXPORT = flags.DEFINE_string(
        "export",
        None,
        "Export the trained model as saved_models/NAME; with --num_folds, one "
        "more that is trained on all rows (--refit).",
    )


def main(argv: list[str]) -> None:
    """Trains with the flags' settings."""
    del argv
    config = common_flags.config_from_flags(config_lib.TrainConfig)
    config.check_trackers()
    if _EXPORT.value is not None:
        from bert_tf.serving import versions

        versions.check_name(_EXPORT.value, flag="--export")
        if (
            config.distribution_strategy == "multi_worker"
            or "TF_CONFIG" in os.environ
        ):
            raise InputError(
                "--export is for one process: with several workers call "
                "pipelines.export once they are done"
            )
    if _NUM_SEEDS.value > 1:
        _train_seeds(config)
    elif _NUM_FOLDS.value > 1:
        _train_folds(config)
    else:
        _train(config)


def _train(config: config_lib.TrainConfig) -> None:
    from bert_tf import trainings

    trainings.train_config(config)
    if _EXPORT.value:
        _export(config.output_dir)
        return
    logging.info(
        "The run is in %s. Next: open %s in a browser, then\n"
        "  %s --run_dir=%s --name=NAME",
        config.output_dir,
        os.path.join(config.output_dir, run_dir.REPORT),
        app.command("export"),
        config.output_dir,
    )


def _train_seeds(config: config_lib.TrainConfig) -> None:
    from bert_tf.data import splits

    for flag, is_used in (
        ("--num_folds", _NUM_FOLDS.value > 1), ("--export", _EXPORT.value),
    ):  # fmt: skip
        if is_used:
            raise InputError(f"{flag} does not go with --num_seeds")
    # Faults of files are told before TensorFlow is loaded.
    splits.read_splits(config)
    with quiet.imports():
        from bert_tf.training import multi_seed
    summary = multi_seed.train_seeds(config, _NUM_SEEDS.value)
    print(multi_seed.describe(summary))
    print(
        f"The runs are in {config.output_dir}. Next: open their report.html, "
        f"then\n  {app.command('export')} --run_dir={summary['runs'][0]} "
        "--name=NAME"
    )


def _train_folds(config: config_lib.TrainConfig) -> None:
    from bert_tf.data import folds as folds_data

    data = folds_data.read_folds(config, _NUM_FOLDS.value)
    with quiet.imports():
        from bert_tf.training import folds
    print(folds.describe(folds.train_folds(config, data)))
    folder = config.output_dir
    print(
        f"Every row is predicted in {os.path.join(folder, folds.PREDICTIONS)}."
        f" Next: open {os.path.join(folder, run_dir.REPORT)} in a browser, "
        f"then, with the same flags,\n  {app.command('label_issues')} "
        f"--output_dir={folder} --num_folds={_NUM_FOLDS.value}"
    )
    if _EXPORT.value:
        _export(folds.train_all_rows(config, data))


def _export(run_path: str) -> None:
    from bert_tf import runs

    path = runs.load(run_path).export(_EXPORT.value, models_dir=_MODELS_DIR)
    logging.info(
        'The model is in %s. Next:\n  %s --model=%s "a text"',
        path,
        app.command("predict"),
        os.path.dirname(path),
    )


if __name__ == "__main__":
    app.run_script(main, required=["train_file", "output_dir"])
