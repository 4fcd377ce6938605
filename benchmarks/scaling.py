"""Throughput, memory and start-up as the rows grow.

    python -m benchmarks.scaling --rows=1000,10000,100000,1000000

Texts are generated, of a tweet's length. Each step is a process of its own.
Training is measured over so many steps, from a CSV file (which is read into
memory) and from TFRecords (which are not); predicting over the whole file,
with a model of two layers, so that reading and writing weigh.
"""

import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time

import keras_nlp
from absl import app, flags

from benchmarks.contestant import Contestant
from benchmarks.contestants import turns
from bert_tf.config.training import TrainConfig
from bert_tf.presets import presets
from bert_tf.serving.export import export
from bert_tf.training.train import train_files

_ROWS = flags.DEFINE_list(
    "rows", ["1000", "10000", "100000", "1000000"], "Rows to measure at."
)
_PRESET = flags.DEFINE_string(
    "preset", "minilm_l6_en_uncased", "What is trained; its vocabulary is used."
)
_STEPS = flags.DEFINE_integer("steps", 20, "Training steps that are timed.")
_WORDS = [
    "fire", "flood", "storm", "a", "the", "in", "my", "new", "song", "love",
    "people", "killed", "crash", "happy", "morning", "coffee", "alert",
]  # fmt: skip
_LENGTH = 32
_BATCH_SIZE = 32
_SECONDS_BETWEEN_LOOKS = 0.05


def main(argv: list[str]) -> None:
    """Prints a line of JSON for each number of rows."""
    del argv
    with tempfile.TemporaryDirectory() as folder:
        small = two_layers(folder)
        validation = write_texts(f"{folder}/validation.csv", 500)
        model = two_layer_model(folder, small, validation)
        for rows in map(int, _ROWS.value):
            texts = write_texts(f"{folder}/{rows}.csv", rows)
            records = f"{folder}/{rows}_records"
            create = run(
                "pipelines.create_tfrecords", f"--input_file={texts}",
                f"--output_dir={records}", f"--preset={_PRESET.value}",
                f"--max_seq_length={_LENGTH}",
            )  # fmt: skip
            predict = run(
                "pipelines.predict", f"--model={model}",
                f"--input_file={texts}", f"--output_file={folder}/out.csv",
            )  # fmt: skip
            figures = {
                "rows": rows,
                "create_tfrecords": {
                    **create, "rows_per_second": rows / create["seconds"],
                },
                "predict": {
                    **predict, "rows_per_second": rows / predict["seconds"],
                },
                "train_csv": training(texts, validation),
                "train_tfrecords": training(records, validation),
            }  # fmt: skip
            print(json.dumps(figures), flush=True)


def write_texts(path: str, rows: int) -> str:
    """Writes a CSV of generated texts and labels, and returns its path."""
    generator = random.Random(rows)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for i in range(rows):
            words = generator.choices(_WORDS, k=generator.randint(3, 25))
            writer.writerow([" ".join(words), ("no", "yes")[i % 2]])
    return path


def two_layers(folder: str) -> str:
    """Writes a preset of two narrow layers with the vocabulary of --preset."""
    vocabulary = presets.resolve(_PRESET.value).vocabulary
    path = os.path.join(folder, "two_layers")
    keras_nlp.models.BertBackbone(
        vocabulary_size=len(vocabulary.tokens), num_layers=2, num_heads=2,
        hidden_dim=64, intermediate_dim=128, max_sequence_length=_LENGTH,
    ).save_to_preset(path)  # fmt: skip
    keras_nlp.models.BertTokenizer(
        list(vocabulary.tokens), lowercase=vocabulary.lowercase
    ).save_to_preset(path)
    return path


def two_layer_model(folder: str, preset: str, texts: str) -> str:
    """Exports a model of two layers and returns its folder."""
    run_path = os.path.join(folder, "two_layer_run")
    train_files(
        TrainConfig(
            train_file=(texts,), preset=preset, output_dir=run_path,
            max_seq_length=_LENGTH, num_train_epochs=1,
        )
    )  # fmt: skip
    return export(run_path, name="two_layers", models_dir=folder)


def run(*arguments: str) -> dict:
    """Runs a script; returns its time and its process's largest memory."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments], stderr=subprocess.DEVNULL
    )
    peak_mb = 0.0
    while process.poll() is None:
        peak_mb = max(peak_mb, turns.peak_mb(process.pid))
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    if process.returncode:
        raise RuntimeError(f"{arguments} failed with {process.returncode}")
    return {"seconds": time.perf_counter() - start, "peak_mb": peak_mb}


def training(train_file: str, validation_file: str) -> dict:
    """Returns texts/s, start-up and memory of the first steps of training."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "train_file": train_file,
            "test_file": validation_file,
            "preset": _PRESET.value,
            "output_dir": os.path.join(folder, "run"),
            "max_seq_length": _LENGTH,
            "batch_size": _BATCH_SIZE,
        }
        contestant = Contestant("bert_tf", "train_bert_tf", settings)
        try:
            answer = contestant.turn(steps=_STEPS.value)
        finally:
            contestant.stop()
        return {
            "texts_per_second": answer["texts"] / answer["seconds"],
            "start_seconds": contestant.start_seconds,
            "peak_mb": contestant.peak_mb,
        }


if __name__ == "__main__":
    app.run(main)
