"""From a run folder to a verified SavedModel under saved_models/."""

import csv
import itertools
import os
import shutil
import uuid

import numpy as np
import tensorflow as tf
from absl import logging

from bert_tf import labels as labels_lib
from bert_tf import run_dir
from bert_tf.errors import InputError
from bert_tf.models import trained as trained_lib
from bert_tf.serving import signatures
from bert_tf.serving.predictions import probability_column
from bert_tf.serving.predictor import Predictor
from bert_tf.text import vocabulary

# Under bfloat16 and float16 the evaluation's batches round otherwise.
_TOLERANCE = {"float32": 1e-5, "bfloat16": 2e-2, "float16": 2e-3}
# So many evaluation texts are asked again, evenly spread.
_MOST_PARITY_TEXTS = 500
_FORBIDDEN_OPERATIONS = {
    "TFText>RoundRobinTrim": "TensorFlow Serving 2.12 to 2.19 lack it",
    "PyFunc": "TensorFlow Serving has no Python",
    "EagerPyFunc": "TensorFlow Serving has no Python",
}
_FIRST_VERSION = 1


def export(run_path: str, *, name: str, models_dir: str) -> str:
    """Exports a run as the next version of a model and returns its folder.

    The SavedModel is written beside the model's folder, loaded again and asked
    the evaluation texts; only if it answers as the trained model did is it
    renamed to `<models_dir>/<name>/<version>`.

    Raises:
        InputError: there is no finished run, the name is not one, or the
            SavedModel answers otherwise. Nothing is published then.
    """
    if not name or name != os.path.basename(name) or name.startswith("."):
        raise InputError(f"--name={name} must be a plain folder name")
    if "://" in models_dir:
        raise InputError(
            f"--models_dir={models_dir} is not a local folder; export to one "
            "and copy the finished version"
        )
    trained = trained_lib.load(run_path)
    os.makedirs(models_dir, exist_ok=True)
    aside = os.path.join(models_dir, f".{name}-{uuid.uuid4().hex[:8]}")
    try:
        module = signatures.ServingModule(trained)
        check_operations(list(module.functions.values()))
        tf.saved_model.save(module, aside, signatures=module.functions)
        _write_extra_assets(run_path, aside, trained)
        rows, difference = check_parity(
            Predictor(aside),
            os.path.join(run_path, "predictions.csv"),
            tolerance=_TOLERANCE[trained.config.mixed_precision],
        )
        logging.info(
            "The SavedModel answers %d evaluation texts as the trained model "
            "did: the same labels, probabilities within %.1e.",
            rows,
            difference,
        )
        return _publish(aside, os.path.join(models_dir, name))
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def check_operations(functions: list) -> None:
    """Raises InputError for a graph that a server could not run."""
    for operation in sorted(signatures.graph_operations(functions)):
        if operation in _FORBIDDEN_OPERATIONS:
            reason = _FORBIDDEN_OPERATIONS[operation]
            raise InputError(f"the graph holds {operation}: {reason}")
        if "Random" in operation:
            raise InputError(
                f"the graph holds {operation}: answers would be random"
            )
    if signatures.is_compiled(functions):
        raise InputError(
            "the graph holds a function that XLA must compile, which "
            "TensorFlow Serving does not do by default"
        )


def check_parity(
    predictor: Predictor, predictions_path: str, *, tolerance: float
) -> tuple[int, float]:
    """Compares a SavedModel's answers with a predictions file.

    Returns:
        The number of texts asked and the largest difference.

    Raises:
        InputError: a label differs, or a probability by over `tolerance`.
    """
    with open(predictions_path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    step = max(1, -(-len(rows) // _MOST_PARITY_TEXTS))
    rows = list(itertools.islice(rows, 0, None, step))
    columns = ("text", "text_pair") if predictor.has_pairs else ("text",)
    segments = tuple([row[column] for row in rows] for column in columns)
    expected = np.array(
        [
            [row[probability_column(name)] for name in predictor.class_names]
            for row in rows
        ],
        np.float32,
    )
    answered = predictor.probabilities(segments)
    differences = np.abs(answered - expected).max(axis=1)
    labels = [predictor.class_names[i] for i in answered.argmax(axis=1)]
    for row, label, difference in zip(rows, labels, differences, strict=True):
        if label != row["label"] or not difference <= tolerance:
            raise InputError(
                f"the SavedModel answers {label} where the trained model "
                f"answered {row['label']}, with probabilities up to "
                f"{difference:.2g} apart (allowed: {tolerance:g}), for the "
                f"evaluation text {row['text'][:80]!r}; nothing was published"
            )
    return len(rows), float(differences.max())


def _write_extra_assets(run_path: str, folder: str, trained) -> None:
    """Puts files for people where TensorFlow Serving ignores them."""
    extra = os.path.join(folder, "assets.extra")
    os.makedirs(extra)
    labels_lib.write_labels(
        os.path.join(extra, run_dir.LABELS), trained.class_names
    )
    vocabulary.write_tokens(
        os.path.join(extra, run_dir.VOCABULARY),
        trained.preprocessor.vocabulary.tokens,
    )
    shutil.copy(os.path.join(run_path, run_dir.METRICS), extra)
    with open(os.path.join(extra, "README.md"), "w", encoding="utf-8") as file:
        file.write(_readme(run_path, trained))


def _readme(run_path: str, trained) -> str:
    metrics = run_dir.read_json(os.path.join(run_path, run_dir.METRICS))
    inputs = (
        signatures.PAIR_INPUTS
        if trained.has_pairs
        else signatures.SINGLE_INPUTS
    )
    texts = " and ".join(f"`{name}: string [None]`" for name in inputs)
    return f"""# BERT classifier

Takes raw text, answers class names; the tokenizer is inside.

- Classes: {", ".join(trained.class_names)}
- Trained from `{trained.config.preset}`, texts cut at \
{trained.config.max_seq_length} tokens
- Validation accuracy {metrics["eval_accuracy"]:.4f}, largest class \
{metrics["majority_baseline_accuracy"]:.4f}; more in `metrics.json`

Signature `serving_default`: {texts} in; `label: string [None]`, `score: \
float32 [None]` and `probabilities: float32 [None, {len(trained.class_names)}]`\
 out, in the order of `labels.txt`.

In Python, `import tensorflow_text` before `tf.saved_model.load`.
"""


def _publish(aside: str, model_dir: str) -> str:
    """Renames a finished folder to the next free version."""
    os.makedirs(model_dir, exist_ok=True)
    while True:
        taken = [int(n) for n in os.listdir(model_dir) if n.isdigit()]
        version = max(taken, default=_FIRST_VERSION - 1) + 1
        target = os.path.join(model_dir, str(version))
        try:
            os.rename(aside, target)
        except OSError:
            # Another export took the version in between.
            if not os.path.exists(target):
                raise
            continue
        return target
