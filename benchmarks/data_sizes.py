"""Quality over the size of the data: this project's defaults and the peers.

    .venv/bin/python -m benchmarks.data_sizes --data_dir=../shared/data \
        --peers_python=.venv-peers/bin/python --output_dir=runs/data_sizes

For each data set, number of labels a class and sample, every method trains on
the same rows, as a whole command with its defaults, and labels the same test
rows. A line of results.jsonl is one of them; what is there already is not done
again, so that the command can be stopped and started. Prints a table, draws
data_sizes.png. Many hours on two cores: --sets, --sizes, --methods and
--samples take parts of it. The peers need setfit==1.2.0, too.

--held_out takes the test rows from the training files: for choosing defaults,
which no test file may have a part in.
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time

import pandas as pd
from absl import app, flags
from sklearn import metrics

from benchmarks import data_sets, data_sizes_table
from bert_tf.presets import presets

_OURS = "bert_tf"
_SETS = flags.DEFINE_list(
    "sets", ["trec", "trec_fine", "tweets", "cola", "headlines"], "Which."
)
_SIZES = flags.DEFINE_list(
    "sizes", ["8", "32", "128", data_sets.ALL], "Labels a class."
)
_METHODS = flags.DEFINE_list(
    "methods",
    ["word_counts", "sentence_vectors", "trainer", "trainer_20", "setfit",
     _OURS],
    "Which; trainer_20 up to 128 labels a class, setfit up to 32.",
)  # fmt: skip
_SAMPLES = flags.DEFINE_integer(
    "samples", 5, "Samples of each size; of all rows at most 3 seeds."
)
_DATA_DIR = flags.DEFINE_string("data_dir", "../shared/data", "Data sets.")
_PEERS_PYTHON = flags.DEFINE_string(
    "peers_python", None, "Python of the peers' environment."
)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", "runs/data_sizes", "Where to.")
_HELD_OUT = flags.DEFINE_boolean(
    "held_out", False, "Test rows of the training files."
)
_TRAIN_FLAGS = flags.DEFINE_multi_string(
    "train_flag", [], "Of pipelines.train, such as --head_init=random."
)
_SEED = 42
# Seconds, beyond which a peer is recorded as not finished.
_LIMIT = 1800
_PRESET = "minilm_l6_en_uncased"


def main(argv: list[str]) -> None:
    """Measures what is missing, prints and draws."""
    del argv
    os.makedirs(_OUTPUT_DIR.value, exist_ok=True)
    path = os.path.join(_OUTPUT_DIR.value, "results.jsonl")
    results = read_results(path)
    done = {key(one) for one in results}
    sets = {
        name: data_sets.read_set(
            name, _DATA_DIR.value, held_out=_HELD_OUT.value
        )
        for name in _SETS.value
    }
    for sample, size, name, method in itertools.product(
        range(_SAMPLES.value), _SIZES.value, sets, _METHODS.value
    ):
        cell = {"set": name, "size": size, "sample": sample, "method": method}
        if key(cell) in done or data_sets.is_left_out(cell):
            continue
        one = {**cell, **measure(cell, *sets[name])}
        print(one, file=sys.stderr, flush=True)
        results.append(one)
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(one) + "\n")
    table = pd.DataFrame(results)
    print(data_sizes_table.tables(table))
    data_sizes_table.draw(
        os.path.join(_OUTPUT_DIR.value, "data_sizes.png"), table
    )


def read_results(path: str) -> list[dict]:
    """Returns the lines of a file, none where it is not there."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def key(one: dict) -> tuple:
    """Returns what names a measurement."""
    return one["set"], one["size"], one["sample"], one["method"]


def measure(cell: dict, train: pd.DataFrame, test: pd.DataFrame) -> dict:
    """Trains and returns seconds and the metrics on the test rows."""
    with tempfile.TemporaryDirectory() as folder:
        rows = data_sets.sample_of(train, cell["size"], cell["sample"])
        rows.to_csv(os.path.join(folder, "train.csv"), index=False)
        test.to_csv(os.path.join(folder, "test.csv"), index=False)
        start = time.perf_counter()
        if cell["method"] == _OURS:
            answers = label_by_us(folder, seed=_SEED + cell["sample"])
        else:
            answers = label_by_peer(
                cell["method"], folder, seed=_SEED + cell["sample"]
            )
        seconds = time.perf_counter() - start
    if answers is None:
        return {"rows": len(rows), "seconds": seconds}
    return {
        "rows": len(rows),
        "seconds": round(seconds, 1),
        "accuracy": metrics.accuracy_score(test["label"], answers),
        "f1_macro": metrics.f1_score(test["label"], answers, average="macro"),
        "matthews": metrics.matthews_corrcoef(test["label"], answers),
        # In the order of the classes' names.
        "f1_by_class": list(
            metrics.f1_score(test["label"], answers, average=None)
        ),
    }


def label_by_us(folder: str, *, seed: int) -> list[str]:
    """Runs pipelines.train and returns its labels of the test rows."""
    data_sets.run_script(
        "train", f"--train_file={folder}/train.csv",
        f"--test_file={folder}/test.csv", f"--output_dir={folder}/run",
        f"--seed={seed}", f"--preset={_PRESET}", *_TRAIN_FLAGS.value,
        stderr=None if os.environ.get("NOISY") else subprocess.DEVNULL,
    )  # fmt: skip
    table = pd.read_csv(f"{folder}/run/predictions_test.csv", dtype=str)
    return list(table["label"])


def label_by_peer(method: str, folder: str, *, seed: int) -> list[str] | None:
    """Runs a method of `contestants.command_peers`; None out of time."""
    try:
        subprocess.run(
            [
                _PEERS_PYTHON.value, "-m",
                "benchmarks.contestants.command_peers", f"--method={method}",
                f"--train_file={folder}/train.csv",
                f"--test_file={folder}/test.csv", f"--seed={seed}",
                f"--model_folder={presets.resolve(_PRESET).source}",
                f"--output_file={folder}/labels.json",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True,
            timeout=_LIMIT,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None
    with open(f"{folder}/labels.json", encoding="utf-8") as file:
        return json.load(file)


if __name__ == "__main__":
    app.run(main)
