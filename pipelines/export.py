r"""Exports a finished run as a SavedModel that TensorFlow Serving loads.

    python -m pipelines.export --run_dir=runs/first --name=tweets
    python -m pipelines.export --describe=saved_models/tweets
    python -m pipelines.export --check=saved_models/tweets/3 \
        --serving_version=2.19

The tokenizer is inside: strings in, class names out. The model is published
as saved_models/NAME/VERSION only if it answers as the trained model did; what
a server needs beside it is written to saved_models/NAME/serving. --describe
and --check look at a SavedModel of any origin.
"""

from absl import flags, logging

from bert_tf.errors import InputError
from bert_tf.serving import bundle
from pipelines import app, help_page, quiet

with help_page.group("Model"):
    _RUN_DIR = flags.DEFINE_string(
        "run_dir", None, "Run folder that pipelines.train wrote."
    )
    _CHECK = flags.DEFINE_string(
        "check",
        None,
        "Only say which operations of this SavedModel --serving_version lacks.",
    )
    _DESCRIBE = flags.DEFINE_string(
        "describe", None, "Only print the signatures of this SavedModel."
    )
with help_page.group("Output"):
    _NAME = flags.DEFINE_string("name", None, "Name of the model.")
    _MODELS_DIR = flags.DEFINE_string(
        "models_dir", "saved_models", "Folder of all exported models."
    )
with help_page.group("Advanced"):
    _SERVING_VERSION = flags.DEFINE_enum(
        "serving_version",
        bundle.serving_versions()[0],
        bundle.serving_versions(),
        "The oldest TensorFlow Serving that is to run the model; the export is "
        "refused if it lacks an operation.",
    )
    _WARM_UP_TEXTS = flags.DEFINE_string(
        "warm_up_texts",
        "synthetic",
        "Texts of the warm-up requests and of request.json, which are "
        "published with the model: synthetic, of words of the vocabulary; "
        "evaluation, from the run's predictions.csv; or a file of texts.",
    )
    _KEEP = flags.DEFINE_integer(
        "keep",
        None,
        "Delete the oldest versions beyond so many; the newest, and those "
        "with a label in serving/models.config, always stay. Default: keep "
        "all.",
        lower_bound=1,
    )


def main(argv: list[str]) -> None:
    """Exports the run, or looks at a SavedModel."""
    del argv
    if not (_DESCRIBE.value or _CHECK.value):
        for flag, value in (("run_dir", _RUN_DIR.value), ("name", _NAME.value)):
            if not value:
                raise InputError(f"--{flag} is needed to export a run")
        _export()
        return
    from bert_tf.inference import model_files

    if _DESCRIBE.value:
        path = model_files.find_version(_DESCRIBE.value)
        with quiet.imports():
            from bert_tf.serving import operation_check, signatures
        print(
            signatures.describe(
                operation_check.read_meta_graph(path),
                signatures.read_descriptions(path),
            )
        )
        return
    _check(model_files.find_version(_CHECK.value))


def _export() -> None:
    from bert_tf import run_dir
    from bert_tf.serving import versions

    versions.check_name(_NAME.value, _MODELS_DIR.value)
    run_dir.check_is_run(_RUN_DIR.value)
    with quiet.imports():
        from bert_tf.serving import export
    path = export.export(
        _RUN_DIR.value,
        name=_NAME.value,
        models_dir=_MODELS_DIR.value,
        serving_version=_SERVING_VERSION.value,
        keep=_KEEP.value,
        warm_up_texts=_WARM_UP_TEXTS.value,
    )
    logging.info(
        "Exported %s. Next:\n"
        '  python -m pipelines.predict --model=%s "a text"\n'
        "or serve it, as %s/%s/serving/README.md says.",
        path,
        path,
        _MODELS_DIR.value,
        _NAME.value,
    )


def _check(path: str) -> None:
    with quiet.imports():
        from bert_tf.serving import operation_check
    names = operation_check.operations(operation_check.read_meta_graph(path))
    foreign = operation_check.foreign_operations(names)
    print(f"{path}: {len(names)} operation types, outside core TensorFlow:")
    for name in foreign or ["none"]:
        print(f"  {name}")
    operation_check.check(path, _SERVING_VERSION.value)
    print(f"TensorFlow Serving {_SERVING_VERSION.value} links all of them.")


if __name__ == "__main__":
    app.run_script(main)
