r"""Exports a finished run as a SavedModel that TensorFlow Serving loads.

    python -m pipelines.export --run_dir=runs/first --name=tweets
    python -m pipelines.export --run_dir=runs/first --name=tweets \
        --format=transformers
    python -m pipelines.export --describe=saved_models/tweets
    python -m pipelines.export --check=saved_models/tweets/3 \
        --serving_version=2.19
    python -m pipelines.export --promote=saved_models/tweets/3
    python -m pipelines.export --rollback=saved_models/tweets

The tokenizer is inside: strings in, class names out. The model is published
as saved_models/NAME/VERSION only if it answers as the trained model did; what
a server needs beside it is written to saved_models/NAME/serving. --describe
and --check look at a SavedModel of any origin. --format=transformers,
keras_hub or onnx write saved_models/NAME/FORMAT for these libraries instead.
--promote and --rollback move the label `stable` in
saved_models/NAME/serving/models.config.
"""

import os

from absl import flags, logging

from bert_tf import quiet
from bert_tf.errors import InputError
from bert_tf.serving import bundle
from pipelines import app, help_page

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
        "describe",
        None,
        "Only print classes, length limit and signatures of this SavedModel.",
    )
    _PROMOTE = flags.DEFINE_string(
        "promote",
        None,
        "Only give this version, saved_models/NAME/VERSION, the label stable; "
        "the one before gets the label previous.",
    )
    _ROLLBACK = flags.DEFINE_string(
        "rollback",
        None,
        "Only give the label stable of saved_models/NAME back to the version "
        "before: the one labelled previous, else the next older on disk.",
    )
with help_page.group("Output"):
    _NAME = flags.DEFINE_string("name", None, "Name of the model.")
    _MODELS_DIR = flags.DEFINE_string(
        "models_dir", "saved_models", "Folder of all exported models."
    )
    _FORMAT = flags.DEFINE_enum(
        "format",
        "saved_model",
        ["saved_model", "transformers", "keras_hub", "onnx"],
        "saved_model is what TensorFlow Serving loads. transformers and "
        "keras_hub write a folder for these libraries, which --preset takes, "
        "too; onnx (the extra `onnx`) a model for ONNX Runtime.",
    )
    _QUANTIZE = flags.DEFINE_enum(
        "quantize",
        None,
        ["int8"],
        "Of --format=onnx: also a model of 8 bits, a quarter of the size, with "
        "what that costs and gains in its README.md.",
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
    """Exports the run, looks at a SavedModel or moves a label."""
    del argv
    actions = (_RUN_DIR, _CHECK, _DESCRIBE, _PROMOTE, _ROLLBACK)
    given = [f"--{flag.name}" for flag in actions if flag.value]
    if len(given) > 1:
        raise InputError(
            f"{' and '.join(given)} exclude each other; give one of them"
        )
    if _PROMOTE.value or _ROLLBACK.value:
        from bert_tf.serving import promotion

        if _PROMOTE.value:
            print(promotion.promote(_PROMOTE.value))
        else:
            print(promotion.rollback(_ROLLBACK.value))
    elif _DESCRIBE.value:
        _describe(_DESCRIBE.value)
    elif _CHECK.value:
        _check(_CHECK.value)
    else:
        for flag in (_RUN_DIR, _NAME):
            if not flag.value:
                raise InputError(f"--{flag.name} is needed to export a run")
        _export()


def _export() -> None:
    from bert_tf import run_dir
    from bert_tf.serving import versions

    versions.check_name(_NAME.value)
    run_dir.check_is_run(_RUN_DIR.value)
    if _FORMAT.value != "saved_model":
        _export_format()
        return
    if _QUANTIZE.value:
        raise InputError("--quantize is of --format=onnx")
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
        '  %s --model=%s "a text"\n'
        "or serve it, as %s/%s/serving/README.md says.",
        path,
        app.command("predict"),
        path,
        _MODELS_DIR.value,
        _NAME.value,
    )


def _export_format() -> None:
    if _KEEP.value:
        raise InputError(
            "--keep is of --format=saved_model, which has versions"
        )
    with quiet.imports():
        from bert_tf.serving.formats import export_format
    path = export_format.export(
        _RUN_DIR.value,
        name=_NAME.value,
        models_dir=_MODELS_DIR.value,
        format=_FORMAT.value,
        quantize=_QUANTIZE.value,
    )
    logging.info("Exported %s; its README.md has the lines that load it.", path)


def _describe(path: str) -> None:
    from bert_tf.inference import model_files

    path = model_files.find_version(path)
    with quiet.imports():
        from bert_tf.serving import operation_check, signatures
    model = signatures.describe_model(path)
    described = signatures.describe(
        operation_check.read_meta_graph(path),
        signatures.read_descriptions(path),
    )
    print(f"{model}\n\n{described}" if model else described)


def _check(path: str) -> None:
    from bert_tf.inference import model_files

    path = model_files.find_version(path)
    with quiet.imports():
        from bert_tf.serving import operation_check
    names = operation_check.operations(operation_check.read_meta_graph(path))
    foreign = operation_check.foreign_operations(names)
    print(f"{path}: {len(names)} operation types, outside core TensorFlow:")
    for name in foreign or ["none"]:
        print(f"  {name}")
    operation_check.check(path, _SERVING_VERSION.value)
    operation_check.check_bundle(
        os.path.join(os.path.dirname(os.path.abspath(path)), bundle.FOLDER),
        path,
    )
    print(f"TensorFlow Serving {_SERVING_VERSION.value} links all of them.")


if __name__ == "__main__":
    app.run_script(main)
