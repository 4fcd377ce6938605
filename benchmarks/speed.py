"""This project and its peers, by turns, on the same texts and checkpoint.

    python3 -m venv .venv-peers
    .venv-peers/bin/python -m pip install -r benchmarks/requirements.txt
    .venv/bin/python -m benchmarks.speed \
        --train_file=../shared/data/disaster_tweets/train.csv \
        --test_file=../shared/data/disaster_tweets/test.csv \
        --peers_python=.venv-peers/bin/python --output_dir=runs/speed

Each contestant is a process of its own that works only in its turn; a round
gives each of them one. Prints a table, writes speed.json and speed.png.
About half an hour on two cores.
"""

import os
import sys
import tempfile
import time

import numpy as np
import tensorflow as tf
from absl import app, flags

from benchmarks import chart, task
from benchmarks.contestant import Contestant
from bert_tf import run_dir
from bert_tf.config.training import TrainConfig
from bert_tf.data import encoding
from bert_tf.models import encoder
from bert_tf.presets import presets
from bert_tf.serving.export import export
from bert_tf.text.preprocessor import Preprocessor
from bert_tf.training.train import train_files

_OUTPUT_DIR = flags.DEFINE_string("output_dir", "runs/speed", "Where to.")
_ROUNDS = flags.DEFINE_integer("rounds", 12, "Turns of each contestant.")
_STEPS = flags.DEFINE_integer(
    "steps", 15, "Training steps per turn: 12 turns of 15 are a tweets' epoch."
)
# At 512 tokens a step takes half a minute, and twelve gigabytes.
_TURNS_AT_512 = 2
_TEXTS = 512
_SINGLE_TEXTS = 60
_TRAINERS = {
    "trainer": ("train_transformers", {"grouped": False}),
    "trainer_grouped": ("train_transformers", {"grouped": True}),
}
_PREDICTORS = {
    "pipeline": ("predict_transformers", {"way": "pipeline"}),
    "onnx_sorted": ("predict_transformers", {"way": "onnx"}),
    "eager_sorted": ("predict_transformers", {"way": "eager"}),
}


def main(argv: list[str]) -> None:
    """Measures, prints and writes."""
    del argv
    os.makedirs(_OUTPUT_DIR.value, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        settings = task.task_settings(folder)
        settings["saved_model"] = saved_model(folder, settings)
        training, rates = measure_training(settings)
        prediction, single = measure_prediction(settings)
        results = {
            "cores": os.cpu_count(),
            "matrix_product_gflops": float(np.median(rates)),
            "share_of_limit": share_of_limit(
                settings, training["bert_tf"], np.median(rates)
            ),
            "training": training,
            "prediction": prediction,
            "single": single,
        }
    run_dir.write_json(os.path.join(_OUTPUT_DIR.value, "speed.json"), results)
    chart.write_chart(os.path.join(_OUTPUT_DIR.value, "speed.png"), results)
    print(chart.table(results))


def measure_training(settings: dict) -> tuple[dict, list[float]]:
    """Returns each contestant's figures, and the matrix products' GFLOP/s."""
    steps = {name: _STEPS.value for name in ("bert_tf", *_TRAINERS)}
    # Steps of five times the time.
    steps["keras_nlp_128"] = max(1, _STEPS.value // 5)
    ours = {
        "bert_tf": ("train_bert_tf", {}),
        "keras_nlp_128": ("train_keras_nlp", {"length": 128}),
    }
    rates = []
    with task.started({**ours, **_TRAINERS}, settings) as contestants:
        for number in range(_ROUNDS.value):
            rates.append(matrix_product_rate())
            for contestant in contestants:
                contestant.turn(steps=steps[contestant.name])
            report(number, _ROUNDS.value, contestants)
        results = figures(contestants)
    # Apart from the others, whose memory it would need.
    at_512 = {"keras_nlp_512": ("train_keras_nlp", {"length": 512})}
    with task.started(at_512, settings) as contestants:
        for number in range(_TURNS_AT_512):
            contestants[0].turn(steps=1)
            report(number, _TURNS_AT_512, contestants)
        results.update(figures(contestants))
    return results, rates


def measure_prediction(settings: dict) -> tuple[dict, dict]:
    """Returns figures of texts in batches, and of one at a time."""
    results = []
    ours = {"bert_tf": ("predict_bert_tf", {})}
    with task.started({**ours, **_PREDICTORS}, settings) as contestants:
        for single, count in ((False, _TEXTS), (True, _SINGLE_TEXTS)):
            for number in range(_ROUNDS.value):
                start = number * count % len(settings["test_texts"])
                for contestant in contestants:
                    contestant.turn(start=start, count=count, single=single)
                report(number, _ROUNDS.value, contestants)
            results.append(figures(contestants))
            for contestant in contestants:
                contestant.answers.clear()
    return tuple(results)


def report(number: int, rounds: int, contestants: list[Contestant]) -> None:
    """Says what a round measured."""
    rates = [
        f"{one.name} {answer['texts'] / answer['seconds']:.1f}"
        for one in contestants
        for answer in one.answers[-1:]
    ]
    print(
        f"round {number + 1} of {rounds}, texts/s: {', '.join(rates)}",
        file=sys.stderr,
    )


def figures(contestants: list[Contestant]) -> dict[str, dict]:
    """Returns each contestant's rates, times and memory."""
    results = {}
    for one in contestants:
        texts = np.array([answer["texts"] for answer in one.answers])
        seconds = np.array([answer["seconds"] for answer in one.answers])
        results[one.name] = {
            "texts_per_second": float(texts.sum() / seconds.sum()),
            "median": float(np.median(texts / seconds)),
            "quartiles": np.percentile(texts / seconds, [25, 75]).tolist(),
            "start_seconds": one.start_seconds,
            "peak_mb": one.peak_mb,
        }
        latencies = [
            1000 * t for a in one.answers for t in a.get("latencies", [])
        ]
        if latencies:
            results[one.name]["p50_ms"] = float(np.percentile(latencies, 50))
            results[one.name]["p99_ms"] = float(np.percentile(latencies, 99))
    return results


def matrix_product_rate() -> float:
    """Returns the GFLOP/s of this process's float32 matrix products."""
    size, count = 2048, 4
    matrix = tf.random.normal([size, size])
    start = None
    for number in range(count + 1):
        tf.matmul(matrix, matrix).numpy()
        if number == 0:
            start = time.perf_counter()
    return count * 2 * size**3 / (time.perf_counter() - start) / 1e9


def share_of_limit(settings: dict, training: dict, gflops: float) -> float:
    """Returns the model FLOPs utilisation: only real tokens are counted.

    As its definition has it (PaLM, appendix B), without the embeddings. That
    the last layer needs fewer is not taken off.
    """
    preset = presets.resolve(settings["preset"])
    encoded = encoding.encode(
        Preprocessor(
            preset.vocabulary, sequence_length=settings["max_seq_length"]
        ),
        (settings["texts"],),
    )
    backbone = preset.build_backbone(dropout=0.0, dtype="float32")
    lengths = encoded.lengths.astype(float)
    flops = backbone.num_layers * (
        lengths * encoder.layer_training_flops(backbone, lengths)
    )
    return float(flops.mean() * training["texts_per_second"] / gflops / 1e9)


def saved_model(folder: str, settings: dict) -> str:
    """Exports a model for the predictions: how good it is does not matter."""
    run = os.path.join(folder, "few_texts")
    train_files(
        TrainConfig(
            train_file=(task.TRAIN_FILE.value,),
            validation_file=(task.TEST_FILE.value,),
            preset=task.PRESET.value,
            output_dir=run,
            max_seq_length=settings["max_seq_length"],
            max_train_samples=2 * task.BATCH_SIZE.value,
            max_eval_samples=task.BATCH_SIZE.value,
            num_train_epochs=1,
        )
    )
    return export(run, name="speed", models_dir=folder)


if __name__ == "__main__":
    app.run(main)
