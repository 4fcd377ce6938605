"""The files inside a run folder, and how they come to be there."""

import json
import os
import shutil
import uuid

from bert_tf.errors import InputError

CONFIG = "config.json"
FLAGS = "flags.txt"
LABELS = "labels.txt"
VERSIONS = "versions.json"
VOCABULARY = "vocab.txt"
BACKBONE = "backbone.json"
WEIGHTS = os.path.join("checkpoints", "best.weights.h5")
LOGS = "logs"
HISTORY = "history.csv"
METRICS = "metrics.json"
DATA_REPORT = "data_report.json"


def check_output_dir(path: str, *, overwrite: bool) -> None:
    """Raises InputError unless a new run may be written to `path`."""
    if not os.path.exists(path):
        return
    if not os.path.isdir(path):
        raise InputError(f"--output_dir={path} is a file")
    if not os.listdir(path):
        return
    if not overwrite:
        raise InputError(
            f"--output_dir={path} is not empty; name another folder, or pass "
            "--overwrite_output_dir to replace the run in it"
        )
    if not os.path.exists(os.path.join(path, CONFIG)):
        raise InputError(
            f"--overwrite_output_dir: {path} holds no run of bert_tf, so its "
            "files are not deleted; name another folder"
        )


def create(path: str) -> None:
    """Makes an empty run folder, deleting the run that was there."""
    if os.path.isdir(path):
        shutil.rmtree(path)
    for folder in (os.path.dirname(WEIGHTS), LOGS):
        os.makedirs(os.path.join(path, folder))


def check_is_run(path: str) -> None:
    """Raises InputError unless `path` holds a finished run."""
    if not os.path.isdir(path):
        raise InputError(f"{path}: no such folder")
    if not os.path.exists(os.path.join(path, CONFIG)):
        raise InputError(
            f"{path} is not a run folder: it has no {CONFIG}. A run folder is "
            "what pipelines.train writes to --output_dir"
        )
    if not os.path.exists(os.path.join(path, METRICS)):
        raise InputError(
            f"{path}: this training did not finish (there is no {METRICS}); "
            "run pipelines.train again with --overwrite_output_dir"
        )


def write_text(path: str, text: str) -> None:
    """Writes a file aside, then renames it: it is whole or not there."""
    aside = f"{path}.{uuid.uuid4().hex[:8]}"
    with open(aside, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    os.replace(aside, path)


def write_json(path: str, value: object) -> None:
    """Writes JSON in which every number is finite; NaN raises ValueError."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: str) -> dict:
    """Reads a JSON file of the run."""
    with open(path, encoding="utf-8") as file:
        return json.load(file)
