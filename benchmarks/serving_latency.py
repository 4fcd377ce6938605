"""Latency and throughput of a SavedModel, without Python and in it.

    python -m benchmarks.serving_latency --model=saved_models/tweets \
        --input_file=../shared/data/disaster_tweets/test.csv

The C program of the tests (TensorFlow's C API, as a server uses it) and the
Python process are asked by turns, so that both meet the same machine.
"""

import itertools
import json
import tempfile
import time

import numpy as np
from absl import app, flags

from bert_tf.inference import batch_prediction
from bert_tf.inference.model_files import find_version
from bert_tf.inference.saved_model_predictor import SavedModelPredictor
from tests.serving import native_loader

_MODEL = flags.DEFINE_string("model", None, "saved_models/NAME.")
_INPUT_FILE = flags.DEFINE_string("input_file", None, "Texts to ask.")
_TEXTS = flags.DEFINE_integer("texts", 500, "How many texts are asked.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "For the throughput.")
_WARM_UP_REQUESTS = 20


def main(argv: list[str]) -> None:
    """Prints a table and a line of JSON."""
    del argv
    batches = batch_prediction.read_batches([_INPUT_FILE.value])
    texts = [text.encode() for _, (column,) in batches for text in column][
        : _TEXTS.value
    ]
    path = find_version(_MODEL.value)
    predictor = SavedModelPredictor(path)

    def ask_python(batch):
        start = time.perf_counter()
        predictor.call("serving_default", {"text": np.array(batch, object)})
        return time.perf_counter() - start

    with tempfile.TemporaryDirectory() as folder:
        program = native_loader.build(folder)
        libraries = native_loader.operation_libraries()
        with native_loader.NativeLoader(
            program, path, libraries, "serving_default"
        ) as loader:
            ways = {
                "C": lambda batch: loader.ask(batch)[1],
                "Python": ask_python,
            }
            results = measure(ways, texts)
    for way, figures in results.items():
        print(
            f"{way:<7} p50 {figures['p50_ms']:6.2f} ms   p99 "
            f"{figures['p99_ms']:6.2f} ms   batches of {_BATCH_SIZE.value}: "
            f"{figures['texts_per_second']:.0f} texts/s"
        )
    print(json.dumps(results))


def measure(ways: dict, texts: list[bytes]) -> dict[str, dict[str, float]]:
    """Times each way on each text and on each batch, by turns."""
    for text in texts[:_WARM_UP_REQUESTS]:
        for ask in ways.values():
            ask([text])
    single = {way: [] for way in ways}
    for text, (way, ask) in itertools.product(texts, ways.items()):
        single[way].append(ask([text]))
    size = _BATCH_SIZE.value
    batches = [texts[i : i + size] for i in range(0, len(texts), size)]
    for ask in ways.values():
        ask(batches[0])
    batched = dict.fromkeys(ways, 0.0)
    for batch, (way, ask) in itertools.product(batches, ways.items()):
        batched[way] += ask(batch)
    return {
        way: {
            "p50_ms": 1000 * float(np.percentile(single[way], 50)),
            "p99_ms": 1000 * float(np.percentile(single[way], 99)),
            "texts_per_second": len(texts) / batched[way],
        }
        for way in ways
    }


if __name__ == "__main__":
    flags.mark_flags_as_required(["model", "input_file"])
    app.run(main)
