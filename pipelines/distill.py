r"""Makes a smaller, faster model of a fine-tuned one.

    python -m pipelines.distill --teacher=runs/first --output_dir=runs/small \
        --test_file=test.csv --unlabelled_file=more.txt

The student learns from the teacher's scores; what is not named is as in the
teacher's run. Its run folder is one of pipelines.train.
"""

from absl import flags, logging

from bert_tf import quiet, run_dir
from bert_tf.config import distillation as distillation_config
from pipelines import app, help_page, training_flags

with help_page.group("Data"):
    _FILES = {
        name: flags.DEFINE_list(name, None, f"Default: the teacher's --{name}.")
        for name in ("train_file", "validation_file", "test_file")
    }
    _UNLABELLED_FILE = flags.DEFINE_list(
        "unlabelled_file",
        [],
        "Texts without labels to learn from as well, in the columns of the "
        "training files; the teacher labels them.",
    )
    _UNLABELLED_ONLY = flags.DEFINE_boolean(
        "unlabelled_only",
        False,
        "Learn from --unlabelled_file alone, not from --train_file.",
    )
with help_page.group("Model"):
    _TEACHER = flags.DEFINE_string("teacher", None, "A run of pipelines.train.")
    _NUM_LAYERS = flags.DEFINE_integer(
        "num_layers",
        None,
        "Layers of the student. Default: half the teacher's.",
        lower_bound=1,
    )
with help_page.group("Training"):
    _NUM_TRAIN_EPOCHS = flags.DEFINE_integer(
        "num_train_epochs", 5, "Passes over the training texts.", lower_bound=1
    )
    _LEARNING_RATE = flags.DEFINE_float(
        "learning_rate", None, "Peak. Default: by the student's size."
    )
    _TRAIN_BATCH_SIZE = flags.DEFINE_integer(
        "train_batch_size", None, "Default: the teacher's."
    )
with help_page.group("Advanced"):
    _TEMPERATURE = flags.DEFINE_float(
        "temperature", 2.0, "Softens the scores of both, as in DistilBERT."
    )
    _SOFT_WEIGHT = flags.DEFINE_float(
        "soft_weight", 5.0, "Weight of the teacher's scores in the loss."
    )
    _HARD_WEIGHT = flags.DEFINE_float(
        "hard_weight", 2.0, "Weight of the labels in the loss."
    )
    _COSINE_WEIGHT = flags.DEFINE_float(
        "cosine_weight", 1.0, "Weight of the direction of the hidden states."
    )
training_flags.define()


def main(argv: list[str]) -> None:
    """Distills and prints how the student compares."""
    del argv
    weights = distillation_config.LossWeights(
        temperature=_TEMPERATURE.value,
        soft_weight=_SOFT_WEIGHT.value,
        hard_weight=_HARD_WEIGHT.value,
        cosine_weight=_COSINE_WEIGHT.value,
    )
    config = distillation_config.student_config(
        _TEACHER.value,
        **{
            name: None if flag.value is None else tuple(flag.value)
            for name, flag in _FILES.items()
        },
        num_train_epochs=_NUM_TRAIN_EPOCHS.value,
        learning_rate=_LEARNING_RATE.value,
        train_batch_size=_TRAIN_BATCH_SIZE.value,
        **training_flags.given_values(),
    )
    run_dir.check_is_local(config.output_dir)
    if not distillation_config.is_only_trained(config):
        run_dir.check_output_dir(
            config.output_dir,
            overwrite=config.overwrite_output_dir,
            resume=config.resume,
        )
    from bert_tf.data import examples

    options = config.read_options()
    if not _UNLABELLED_ONLY.value:
        examples.check_files(config.train_file, options)
    if _UNLABELLED_FILE.value:
        examples.check_files(_UNLABELLED_FILE.value, options, labelled=False)
    with quiet.imports():
        from bert_tf.distillation import distill as distill_lib
    report = distill_lib.distill(
        _TEACHER.value,
        config,
        unlabelled_file=_UNLABELLED_FILE.value,
        unlabelled_only=_UNLABELLED_ONLY.value,
        num_layers=_NUM_LAYERS.value,
        weights=weights,
    )
    print(describe(report))
    logging.info(
        "The student is in %s; report: %s/%s, evaluation: %s/%s.",
        config.output_dir,
        config.output_dir,
        run_dir.DISTILLATION,
        config.output_dir,
        run_dir.REPORT,
    )


def describe(report: dict) -> str:
    """Returns the comparison as a table."""
    rows = [("parameters", "parameters", ",d")]
    if "metric" in report:
        rows += [
            (report["metric"], report["metric"], ".4f"),
            ("texts per second", "texts_per_second", ",.0f"),
        ]
    lines = [f"{'':<16}{'teacher':>14}{'student':>14}"]
    for title, key, form in rows:
        cells = [
            f"{format(report[f'{who}_{key}'], form):>14}"
            for who in ("teacher", "student")
        ]
        lines.append(f"{title:<16}{''.join(cells)}")
    if "metric" in report:
        kept = report["kept_share"]
        lines.append(
            f"kept of {report['metric']}: "
            f"{'undefined' if kept is None else f'{kept:.3f}'}; "
            f"{report['speed_ratio']:.2f} times as fast; same answer on "
            f"{report['agreement']:.1%} of the texts"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    app.run_script(main, required=["teacher", "output_dir"])
