"""Seconds and peak memory of reading one table in several forms, by turns.

    .venv/bin/python -m benchmarks.reading --rows=1000000

Each reading is a process of its own. The texts are random words.
"""

import gzip
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import pandas as pd
from absl import app, flags

from bert_tf.data import examples

_ROWS = flags.DEFINE_integer("rows", 1_000_000, "Rows of the table.")
_ROUNDS = flags.DEFINE_integer("rounds", 2, "Readings of each form.")
_READ = flags.DEFINE_string("read", None, "Read this file, as a process does.")
_WORDS_OF_TEXT, _VOCABULARY = 12, 5_000


def main(argv: list[str]) -> None:
    """Measures and prints."""
    del argv
    if _READ.value:
        start = time.perf_counter()
        frame, _ = examples.read_examples([_READ.value])
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(len(frame), seconds, peak)
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = write_forms(folder, _ROWS.value)
        measured = {path: [] for path in paths}
        for _ in range(_ROUNDS.value):
            for path in paths:
                measured[path].append(read_apart(path))
    first = None
    for path, results in measured.items():
        rows, seconds, peak = map(statistics.median, zip(*results, strict=True))
        first = first or (seconds, peak)
        print(
            f"{os.path.basename(path):<12} {rows:,.0f} rows  {seconds:5.1f} s "
            f"({seconds / first[0]:.2f} times)  {peak:,.0f} MB "
            f"({peak / first[1]:.2f} times)"
        )


def write_forms(folder: str, rows: int) -> list[str]:
    """Writes a random table in each form, plain CSV first."""
    generator = random.Random(0)
    words = [f"word{number}" for number in range(_VOCABULARY)]
    frame = pd.DataFrame(
        {
            "id": range(rows),
            "text": [
                " ".join(generator.choices(words, k=_WORDS_OF_TEXT))
                for _ in range(rows)
            ],
            "label": generator.choices("ab", k=rows),
        }
    )
    names = ("a.csv", "a.csv.gz", "a.parquet")
    plain, zipped, parquet = (os.path.join(folder, name) for name in names)
    frame.to_csv(plain, index=False)
    with open(plain, "rb") as source, gzip.open(zipped, "wb") as target:
        shutil.copyfileobj(source, target)
    frame.to_parquet(parquet, index=False)
    return [plain, zipped, parquet]


def read_apart(path: str) -> tuple[float, ...]:
    """Returns rows, seconds and megabytes of a process that reads a file."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.reading", f"--read={path}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return tuple(map(float, done.stdout.split()))


if __name__ == "__main__":
    app.run(main)
