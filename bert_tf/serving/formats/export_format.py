"""Exports a run in the format of another library, and compares its answers."""

import importlib
import importlib.util
import os

from absl import logging

from bert_tf import run_dir
from bert_tf.errors import InputError, check_installed
from bert_tf.inference import loaded_run, model_files
from bert_tf.inference.loaded_run import LoadedRun
from bert_tf.serving import versions
from bert_tf.serving.formats.evaluation_texts import EvaluationTexts

# What writes a format, and what it is called.
_FORMATS = {
    "transformers": ("transformers_folder", "Transformers"),
    "keras_hub": ("keras_hub_preset", "KerasHub"),
    "onnx": ("onnx_model", "ONNX Runtime"),
}
INT8 = "int8"
# Of a task's parameters, see docs/tasks.md.
_BY_HAND = ("thresholds", "threshold", "stride", "window_pooling")


@versions.publishing
def export(
    run_path: str,
    *,
    name: str,
    models_dir: str,
    format: str,
    quantize: str | None = None,
) -> str:
    """Writes <models_dir>/<name>/<format>, in place of one that is there.

    Args:
        run_path: a finished run.
        format: transformers, keras_hub or onnx.
        quantize: int8 for such a model beside it, of onnx alone.

    Returns:
        The folder.

    Raises:
        InputError: there is no finished run, the library has no such model, or
            the library's own model answers otherwise. Nothing is written then.
        InstallationError: of onnx, a package is missing.
    """
    check(format, quantize)
    module, title = _FORMATS[format]
    library = importlib.import_module(f"{__package__}.{module}")
    run = loaded_run.load(run_path)
    library.check(run)
    texts = EvaluationTexts.read(run, run_path)
    folder = os.path.join(models_dir, name, format)
    with versions.staging(models_dir, name) as staged:
        os.makedirs(staged)
        library.write(staged, run)
        missing = [
            package
            for package in library.packages(run)
            if importlib.util.find_spec(package) is None
        ]
        if missing:
            compared = (
                "Not compared with this run's answers: there was no "
                f"{' and no '.join(missing)}"
            )
            logging.warning(
                "The answers of %s are not compared: pip install %s, and "
                "export again.",
                title,
                " ".join(package.replace("_", "-") for package in missing),
            )
        else:
            difference = texts.compare(library.load(staged, run))
            compared = (
                f"{title} answers {len(texts.segments[0])} evaluation texts as "
                f"the run did, within {difference:.1e}, on equal ids"
            )
            logging.info("%s.", compared)
        readme = _readme(
            run, library.usage(folder, run), library.TOKENIZER, compared
        )
        if quantize:
            from bert_tf.serving.formats import onnx_quantization

            onnx_quantization.quantize(staged)
            rows = onnx_quantization.compare(staged, texts)
            head, *lines = [f"| {' | '.join(row)} |" for row in rows]
            table = "\n".join([head, "|---|---|---|", *lines])
            logging.info(
                "The model of 8 bits beside that of float32:\n%s", table
            )
            readme += f"\n{table}\n"
            # The report of an evaluation shows it.
            run_dir.write_json(
                os.path.join(
                    staged, model_files.EXTRA, model_files.QUANTIZATION
                ),
                rows,
            )
        with open(
            os.path.join(staged, "README.md"), "w", encoding="utf-8"
        ) as file:
            file.write(readme)
        versions.replace(staged, models_dir, name, format)
    return folder


def check(format: str, quantize: str | None) -> None:
    """Raises InputError, or InstallationError where a package is missing."""
    if format not in _FORMATS:
        raise InputError(
            f"format={format!r} is none of saved_model, {', '.join(_FORMATS)}"
        )
    if quantize not in (None, INT8):
        raise InputError(f"quantize={quantize!r} is not {INT8}")
    if quantize and format != "onnx":
        raise InputError("--quantize is of --format=onnx")
    if format == "onnx":
        for package in ("onnx", "onnxruntime"):
            check_installed(package, "--format=onnx")


def _readme(run: LoadedRun, usage: str, tokenizer: str, compared: str) -> str:
    lines = [f"Trained from `{run.config.preset}`. {compared}."]
    if run.task.class_names:
        names = ", ".join(run.task.class_names)
        lines.append(f"Its outputs are logits of the classes: {names}.")
    by_hand = {
        name: value
        for name, value in run.task.parameters.items()
        if name in _BY_HAND
    }
    if by_hand:
        lines.append(
            "The SavedModel applies these itself, here they are to be applied "
            f"by hand: `{by_hand}`."
        )
    if run.config.long_text == "head_tail":
        lines.append(
            "Long texts are cut otherwise: the SavedModel keeps a quarter of "
            "its length from the beginning and the rest from the end."
        )
    lines.append(tokenizer)
    text = "\n\n".join(lines)
    return f"""# BERT, {run.task.name.replace("_", " ")}

```python
{usage}
```

{text}
"""
