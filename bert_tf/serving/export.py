"""Exports a run as a SavedModel and verifies it."""

import csv
import itertools
import os
import shutil
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from bert_tf import labels as labels_lib
from bert_tf import run_dir
from bert_tf.errors import InputError
from bert_tf.inference import batch_prediction, loaded_run, model_files
from bert_tf.inference.saved_model_predictor import SavedModelPredictor
from bert_tf.serving import (
    bundle,
    operation_check,
    signatures,
    versions,
    warm_up,
)
from bert_tf.tasks import registry
from bert_tf.tasks.answers import LoadedModel
from bert_tf.text import tokenizers, vocabulary

# Under bfloat16 and float16 the evaluation's batches round otherwise.
TOLERANCE = {"float32": 1e-5, "bfloat16": 2e-2, "float16": 2e-3}
# So many evaluation texts are asked again, evenly spread.
_MOST_PARITY_TEXTS = 500
SYNTHETIC, EVALUATION = WARM_UP_TEXTS = ("synthetic", "evaluation")


@versions.publishing
def export(
    run_path: str,
    *,
    name: str,
    models_dir: str,
    serving_version: str | None = None,
    keep: int | None = None,
    warm_up_texts: str = SYNTHETIC,
) -> str:
    """Exports a run as the next version of a model and returns its folder.

    The SavedModel is written beside the model's folder, loaded again and asked
    the evaluation texts; only if it answers as the trained model did is it
    renamed to `<models_dir>/<name>/<version>`.

    Args:
        run_path: a finished run.
        serving_version: the TensorFlow Serving that must be able to run it;
            by default the oldest that is known.
        keep: how many versions stay, see `versions.publish`.
        warm_up_texts: what the warm-up requests and request.json hold:
            synthetic or evaluation texts, or those of a file of this name.

    Raises:
        InputError: there is no finished run, the name is not one, the server
            lacks an operation, or the SavedModel answers otherwise. Nothing
            is published then.
    """
    serving_version = serving_version or bundle.serving_versions()[0]
    trained = loaded_run.load(run_path)
    with versions.staging(models_dir, name) as staged:
        module = signatures.ServingModule(trained)
        tf.saved_model.save(module, staged, signatures=module.functions)
        operation_check.check(staged, serving_version)
        operation_check.check_bundle(
            os.path.join(models_dir, name, bundle.FOLDER), staged
        )
        _write_extra_assets(run_path, staged, trained)
        predictor = SavedModelPredictor(staged)
        model = loaded_run.as_model(trained, path=run_path, batch_size=64)
        segments, expected = evaluation_texts(
            run_path, has_pairs=predictor.has_pairs
        )
        difference = check_parity(
            predictor,
            model,
            segments,
            expected,
            tolerance=TOLERANCE[trained.config.mixed_precision],
        )
        logging.info(
            "The SavedModel answers %d evaluation texts as the trained model "
            "did: the same answers, their numbers within %.1e. TensorFlow "
            "Serving %s and newer link its operations.",
            len(expected),
            difference,
            serving_version,
        )
        if warm_up_texts not in WARM_UP_TEXTS:
            segments = _read_segments(warm_up_texts, predictor)
        examples = warm_up.example_texts(segments)
        if warm_up_texts == SYNTHETIC:
            examples = warm_up.synthetic_texts(examples, model.tokens)
        count = warm_up.write(predictor, name=name, texts=examples)
        logging.info("%d warm-up requests written and replayed.", count)
        requested = warm_up.request_texts(examples)
        return versions.publish(
            staged,
            models_dir,
            name,
            keep=keep,
            example=dict(
                zip(
                    predictor.inputs,
                    map(list, zip(*requested, strict=True)),
                    strict=True,
                )
            ),
        )


def evaluation_texts(
    run_path: str, *, has_pairs: bool
) -> tuple[tuple[list[str], ...], list[dict[str, str]]]:
    """Returns texts and rows of the saved model's predictions."""
    path = os.path.join(run_path, run_dir.REFIT_PREDICTIONS)
    if not os.path.exists(path):
        path = os.path.join(run_path, run_dir.PREDICTIONS)
    csv.field_size_limit(2**31 - 1)
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    step = max(1, -(-len(rows) // _MOST_PARITY_TEXTS))
    rows = list(itertools.islice(rows, 0, None, step))
    columns = ("text", "text_pair") if has_pairs else ("text",)
    return tuple([row[column] for row in rows] for column in columns), rows


def _read_segments(
    path: str, predictor: SavedModelPredictor
) -> tuple[list[str], ...]:
    """Returns the first texts of a file; InputError where they are not ours."""
    _, segments = next(batch_prediction.read_batches([path]), (None, ()))
    if len(segments) != len(predictor.inputs):
        raise InputError(
            f"--warm_up_texts={path}: its rows have {len(segments)} texts, and "
            f"the model takes {len(predictor.inputs)}"
        )
    return segments


def check_parity(
    predictor: SavedModelPredictor,
    trained: LoadedModel,
    segments: tuple[list[str], ...],
    expected: Sequence[Mapping[str, str]],
    *,
    tolerance: float,
) -> float:
    """Compares what is served with the trained model's answers.

    Another span or entity is no fault where the trained model's probabilities
    for it are within the tolerance of those for its own.

    Args:
        predictor: its `serving_default` is asked, batch by batch.
        trained: tells the margins of its answers.
        expected: rows of predictions.csv, or of another such file.
        tolerance: of a number, and of a margin.

    Returns:
        The largest difference of a number.

    Raises:
        InputError: an answer differs, or a number by over `tolerance`.
    """
    task = predictor.task
    served = predictor.served_rows(segments)
    differences = np.array(
        [
            task.max_abs_difference(wanted, answer_row)
            # Numbers of a regression may be large; all others are up to 1.
            / max(1.0, abs(float(wanted.get("score", 0.0))))
            for wanted, answer_row in zip(expected, served, strict=True)
        ]
    )
    others = np.flatnonzero(np.isinf(differences))
    if task.with_offsets and len(others):
        encoded = trained.encode(
            tuple([texts[row] for row in others] for texts in segments)
        )
        differences[others] = task.margins(
            encoded, trained.predict_encoded(encoded)
        )
    worst = int(differences.argmax())
    if not differences[worst] <= tolerance:
        answer = dict(zip(task.answer_columns, served[worst][0], strict=True))
        wanted = {name: expected[worst][name] for name in answer}
        raise InputError(
            f"the SavedModel answers {answer} where the trained model answered "
            f"{wanted}, {differences[worst]:.2g} apart (allowed: "
            f"{tolerance:g}), for the evaluation text "
            f"{segments[0][worst][:80]!r}; nothing was published"
        )
    return float(differences[worst])


def _write_extra_assets(run_path: str, folder: str, trained) -> None:
    """Puts files for people where TensorFlow Serving ignores them."""
    extra = os.path.join(folder, model_files.EXTRA)
    os.makedirs(extra)
    labels_lib.write_labels(
        os.path.join(extra, run_dir.LABELS), trained.task.class_names
    )
    registry.write_task(extra, trained.task, name_it=True)
    vocabulary.write_tokens(
        os.path.join(extra, run_dir.VOCABULARY),
        tokenizers.readable_tokens(trained.preprocessor.vocabulary),
    )
    shutil.copy(os.path.join(run_path, run_dir.METRICS), extra)
    with open(os.path.join(extra, "README.md"), "w", encoding="utf-8") as file:
        file.write(_readme(run_path, folder, trained))


def _readme(run_path: str, folder: str, trained) -> str:
    metrics = run_dir.read_json(os.path.join(run_path, run_dir.METRICS))
    signatures_text = signatures.describe(
        operation_check.read_meta_graph(folder),
        signatures.descriptions(trained.task),
    )
    classes = ""
    if trained.task.class_names:
        classes = f"\n- Classes: {', '.join(trained.task.class_names)}"
    figures = ", ".join(
        f"{title} {metrics[key]:.4f}"
        for title, key in trained.task.metric_rows
        if metrics[key] is not None
    )
    length = trained.config.max_seq_length
    longer = f"texts cut at {length} tokens"
    if trained.task.stride is not None:
        longer = f"longer texts in windows of {length} tokens"
    return f"""# BERT, {trained.task.name.replace("_", " ")}

Takes raw text; the tokenizer is inside.
{classes}
- Trained from `{trained.config.preset}`, {longer}
- On the validation split: {figures}; more in `metrics.json`

{signatures_text}

In Python, `import tensorflow_text` before `tf.saved_model.load`.
"""
