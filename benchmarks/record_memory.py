"""Memory of create_tfrecords, and of training from it, as rows grow.

    python -m benchmarks.record_memory --preset=FOLDER --rows=100000,1000000

Texts are generated, of a tweet's length. Each step is a process of its own,
whose largest resident size the system tells.
"""

import csv
import json
import os
import random
import subprocess
import sys
import tempfile

from absl import app, flags

_PRESET = flags.DEFINE_string("preset", None, "A small BERT.")
_ROWS = flags.DEFINE_list("rows", ["100000", "1000000"], "Rows to measure at.")
_WORDS = [
    "fire", "flood", "storm", "a", "the", "in", "my", "new", "song", "love",
    "people", "killed", "crash", "happy", "morning", "coffee", "alert",
]  # fmt: skip
_LENGTH = 32


def write_texts(path: str, rows: int) -> None:
    """Writes a CSV of generated texts and labels."""
    generator = random.Random(rows)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for i in range(rows):
            words = generator.choices(_WORDS, k=generator.randint(3, 25))
            writer.writerow([" ".join(words), ("no", "yes")[i % 2]])


def peak_megabytes(*arguments: str) -> float:
    """Runs a script and returns the largest resident size of its process."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments], stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{arguments} failed with {status}")
    return usage.ru_maxrss / 1024


def main(argv: list[str]) -> None:
    """Prints a line of JSON for each number of rows."""
    del argv
    for rows in map(int, _ROWS.value):
        with tempfile.TemporaryDirectory() as folder:
            texts, records = f"{folder}/texts.csv", f"{folder}/records"
            validation = f"{folder}/validation.csv"
            write_texts(texts, rows)
            write_texts(validation, 1000)
            shared = [
                f"--preset={_PRESET.value}", f"--max_seq_length={_LENGTH}",
            ]  # fmt: skip
            create = peak_megabytes(
                "pipelines.create_tfrecords", f"--input_file={texts}",
                f"--output_dir={records}", *shared,
            )  # fmt: skip
            train = peak_megabytes(
                "pipelines.train", f"--train_file={records}",
                f"--validation_file={validation}", "--train_batch_size=256",
                "--num_train_epochs=1", f"--output_dir={folder}/run", *shared,
            )  # fmt: skip
            print(
                json.dumps(
                    {
                        "rows": rows,
                        "create_peak_mb": round(create),
                        "train_peak_mb": round(train),
                    }
                ),
                flush=True,
            )


if __name__ == "__main__":
    flags.mark_flags_as_required(["preset"])
    app.run(main)
