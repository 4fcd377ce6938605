"""Whole commands, interleaved: pipelines.train and a script with the Trainer.

    .venv/bin/python -m benchmarks.whole_command \
        --train_file=../shared/data/disaster_tweets/train.csv \
        --peers_python=.venv-peers/bin/python --rows=1280 --epochs=1

Both start as processes, read the file, train from the same checkpoint,
validate each epoch and save; ours also writes its report. Prints the seconds
of each round, our phases, and the median ratio; writes whole_command.json.
"""

import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time

from absl import app, flags

from bert_tf import run_dir
from bert_tf.presets import presets

_TRAIN_FILE = flags.DEFINE_string("train_file", None, "Labelled texts, CSV.")
_PEERS_PYTHON = flags.DEFINE_string(
    "peers_python", None, "Python of the peers' environment."
)
_BASE_DIR = flags.DEFINE_string(
    "base_dir",
    None,
    "A checkout of this project to compare with instead of the peers, such as "
    "one of the parent commit.",
)
_ROWS = flags.DEFINE_integer("rows", 1280, "The first so many rows.")
_EPOCHS = flags.DEFINE_integer("epochs", 1, "Passes over them.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Runs of each command.")
_PRESET = flags.DEFINE_string(
    "preset", "minilm_l6_en_uncased", "The checkpoint of both."
)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", "runs/command", "Where to.")
# Of a line of our log: how it begins, and what has ended with it.
_PHASES = (
    ("Data", "start, reading, imports and tokenizing"),
    ("Model:", "building the model"),
    ("epoch 1/", "first step"),
    ("epoch 1: validation", "other steps of the first epoch, validation"),
    ("Validation ", "other epochs, evaluation, word marks, baseline"),
    ("The run is in", "report"),
)


def main(argv: list[str]) -> None:
    """Measures, prints and writes."""
    del argv
    os.makedirs(_OUTPUT_DIR.value, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        path = first_rows(_TRAIN_FILE.value, _ROWS.value, folder)
        rounds = []
        for number in range(_ROUNDS.value):
            seconds, phases = run_ours(path, f"{folder}/ours{number}")
            figures = {"ours": seconds, "phases": phases}
            if _BASE_DIR.value:
                figures["other"], figures["other_phases"] = run_ours(
                    path, f"{folder}/base{number}", cwd=_BASE_DIR.value
                )
            elif _PEERS_PYTHON.value:
                figures["other"] = run_peer(path, f"{folder}/peer{number}")
            print(figures, flush=True)
            rounds.append(figures)
    results = {
        "cores": os.cpu_count(),
        "rows": _ROWS.value,
        "epochs": _EPOCHS.value,
        "rounds": rounds,
    }
    if "other" in rounds[0]:
        results["other_over_ours"] = statistics.median(
            one["other"] / one["ours"] for one in rounds
        )
        print(f"other / ours, median: {results['other_over_ours']:.3f}")
    for _, phase in _PHASES:
        median = statistics.median(one["phases"][phase] for one in rounds)
        print(f"  {median:6.1f} s  {phase}")
    run_dir.write_json(
        os.path.join(_OUTPUT_DIR.value, "whole_command.json"), results
    )


def first_rows(path: str, rows: int, folder: str) -> str:
    """Writes the first rows of a CSV file to another, and returns its path."""
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        records = [row for _, row in zip(range(rows), reader, strict=False)]
    target = os.path.join(folder, "train.csv")
    with open(target, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, reader.fieldnames)
        writer.writeheader()
        writer.writerows(records)
    return target


def run_ours(
    path: str, output_dir: str, *, cwd: str | None = None
) -> tuple[float, dict[str, float]]:
    """Runs pipelines.train; returns its seconds, in all and by phase."""
    start = then = time.perf_counter()
    process = subprocess.Popen(
        [
            sys.executable, "-m", "pipelines.train", f"--train_file={path}",
            f"--output_dir={output_dir}", f"--preset={_PRESET.value}",
            f"--num_train_epochs={_EPOCHS.value}", "--log_steps=1",
        ],
        stderr=subprocess.PIPE, text=True, cwd=cwd,
    )  # fmt: skip
    phases = {}
    waiting = list(_PHASES)
    for line in process.stderr:
        if waiting and line.startswith(waiting[0][0]):
            now = time.perf_counter()
            phases[waiting.pop(0)[1]] = now - then
            then = now
    _check(process.wait())
    return time.perf_counter() - start, phases


def run_peer(path: str, output_dir: str) -> float:
    """Runs the script of the peers; returns its seconds."""
    folder = presets.resolve(_PRESET.value).source
    start = time.perf_counter()
    done = subprocess.run(
        [
            _PEERS_PYTHON.value, "-m",
            "benchmarks.contestants.command_transformers",
            f"--train_file={path}", f"--output_dir={output_dir}",
            f"--model_folder={folder}", f"--epochs={_EPOCHS.value}",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    _check(done.returncode)
    return time.perf_counter() - start


def _check(status: int) -> None:
    if status:
        raise RuntimeError(f"a command ended with status {status}")


if __name__ == "__main__":
    flags.mark_flags_as_required(["train_file"])
    app.run(main)
