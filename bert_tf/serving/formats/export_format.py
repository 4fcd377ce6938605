"""Exports a run in the format of another library, and compares its answers."""

import importlib.util
import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from absl import logging

from bert_tf.errors import InputError
from bert_tf.inference import loaded_run
from bert_tf.inference.loaded_run import LoadedRun
from bert_tf.serving import export as export_lib
from bert_tf.serving import versions
from bert_tf.serving.formats import keras_hub_preset, transformers_folder
from bert_tf.tasks import head

_FORMATS = {
    "transformers": transformers_folder,
    "keras_hub": keras_hub_preset,
}
_TITLES = {"transformers": "Transformers", "keras_hub": "KerasHub"}
_BATCH_SIZE = 32
# Of a task's parameters, see docs/tasks.md.
_BY_HAND = ("thresholds", "threshold", "stride", "window_pooling")
# What stands in the place of padding, in comparisons.
_NO_TOKEN = -1e9


def export(run_path: str, *, name: str, models_dir: str, format: str) -> str:
    """Writes <models_dir>/<name>/<format>, in place of one that is there.

    Args:
        run_path: a finished run.
        format: transformers or keras_hub.

    Returns:
        The folder.

    Raises:
        InputError: there is no finished run, the library has no such model, or
            the library's own model answers otherwise. Nothing is written then.
    """
    if format not in _FORMATS:
        raise InputError(
            f"format={format!r} is none of saved_model, {', '.join(_FORMATS)}"
        )
    versions.check_name(name, models_dir)
    run = loaded_run.load(run_path)
    library = _FORMATS[format]
    library.check(run)
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
                _TITLES[format],
                " ".join(name.replace("_", "-") for name in missing),
            )
        else:
            difference, count = _compare(
                run, run_path, library.load(staged, run)
            )
            compared = (
                f"{_TITLES[format]} answers {count} evaluation texts as the "
                f"run did, within {difference:.1e}"
            )
            logging.info("%s.", compared)
        with open(
            os.path.join(staged, "README.md"), "w", encoding="utf-8"
        ) as file:
            file.write(
                _readme(
                    run,
                    library.usage(folder, run),
                    library.TOKENIZER,
                    compared,
                )
            )
        versions.replace(staged, models_dir, name, format)
    return folder


def _compare(
    run: LoadedRun, run_path: str, logits_of: Callable[[dict], np.ndarray]
) -> tuple[float, int]:
    """Returns the largest difference of an answer, and of how many texts."""
    segments, _ = export_lib.evaluation_texts(run_path, has_pairs=run.has_pairs)
    encode = tf.function(
        lambda *texts: run.preprocessor(texts), autograph=False
    )
    tolerance = export_lib.TOLERANCE[run.config.mixed_precision]
    count, worst = len(segments[0]), 0.0
    for start in range(0, count, _BATCH_SIZE):
        texts = [
            tf.constant(part[start : start + _BATCH_SIZE]) for part in segments
        ]
        features = encode(*texts)
        ours = head.forward(run.task, run.model, features)["logits"].numpy()
        arrays = {key: value.numpy() for key, value in features.items()}
        ours, theirs = (
            _answers(run, logits, arrays["padding_mask"])
            for logits in (ours, logits_of(arrays))
        )
        # Numbers of a regression may be large; all others are up to 1.
        differences = np.abs(ours - theirs) / np.maximum(1.0, np.abs(ours))
        worst = max(worst, float(differences.max()))
        if not worst <= tolerance:
            row = int(differences.reshape(len(ours), -1).max(axis=1).argmax())
            raise InputError(
                f"the model that was written answers otherwise, {worst:.2g} "
                f"apart (allowed: {tolerance:g}), for the evaluation text "
                f"{segments[0][start + row][:80]!r}; nothing was published"
            )
    return worst, count


def _answers(
    run: LoadedRun, logits: np.ndarray, padding_mask: np.ndarray
) -> np.ndarray:
    if run.task.is_per_token:
        is_token = padding_mask[:, :, np.newaxis] == 1
        logits = np.where(is_token, logits, np.float32(_NO_TOKEN))
    return run.task.activate(tf.constant(logits)).numpy()


def _readme(run: LoadedRun, usage: str, tokenizer: str, compared: str) -> str:
    lines = [f"Trained from `{run.config.preset}`. {compared}, on equal ids."]
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
    lines.append(tokenizer)
    text = "\n\n".join(lines)
    return f"""# BERT, {run.task.name.replace("_", " ")}

```python
{usage}
```

{text}
"""
