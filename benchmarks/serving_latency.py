"""Latency and throughput of a SavedModel, and of ONNX Runtime beside it.

    python -m benchmarks.serving_latency --model=saved_models/tweets \
        --input_file=../shared/data/disaster_tweets/test.csv

Asked by turns, so that all meet the same machine: the C program of the tests
(TensorFlow's C API, as a server uses it), as TensorFlow is by itself and as the
serving bundle sets it; this project's predictor in Python; and, where
saved_models/tweets/onnx is there (pipelines.export --format=onnx), ONNX Runtime
with the tokenizer that lies beside it, in 32 and in 8 bits.
"""

import contextlib
import itertools
import json
import os
import tempfile
import time

import numpy as np
import psutil
from absl import app, flags

from bert_tf.inference import batch_prediction, model_files
from bert_tf.inference.saved_model_predictor import SavedModelPredictor
from tests.serving import native_loader

_MODEL = flags.DEFINE_string("model", None, "saved_models/NAME.")
_INPUT_FILE = flags.DEFINE_string("input_file", None, "Texts to ask.")
_TEXTS = flags.DEFINE_integer("texts", 500, "How many texts are asked.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "For the throughput.")
_WARM_UP_REQUESTS, _TURN = 5, 50
# What the bundle sets; see docker-compose.yml of a model.
_BUNDLE = {
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF_ONEDNN_ASSUME_FROZEN_WEIGHTS": "1",
}
_PROGRAMS = {"C": {}, "C, as the bundle sets it": _BUNDLE}
_ONNX_FILES = {"ONNX Runtime": "model.onnx", "8 bits": "model_int8.onnx"}


def main(argv: list[str]) -> None:
    """Prints a table and a line of JSON."""
    del argv
    batches = batch_prediction.read_batches([_INPUT_FILE.value])
    texts = [text.encode() for _, (column,) in batches for text in column][
        : _TEXTS.value
    ]
    path = model_files.find_version(_MODEL.value)
    with contextlib.ExitStack() as stack:
        ways, memory = {}, {}
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        program = native_loader.build(folder)
        for name, environment in _PROGRAMS.items():
            loader = stack.enter_context(
                native_loader.NativeLoader(
                    program, path, native_loader.operation_libraries(),
                    "serving_default", environment,
                )
            )  # fmt: skip
            ways[name] = asker(loader)
            memory[name] = psutil.Process(loader.pid)
        ways["Python"] = timed(SavedModelPredictor(path))
        onnx_folder = os.path.join(os.path.dirname(path), "onnx")
        for name, file in _ONNX_FILES.items():
            file = os.path.join(onnx_folder, file)
            if os.path.exists(file):
                ways[name] = onnx_runtime(file)
        results = measure(ways, texts)
        for name, process in memory.items():
            results[name]["megabytes"] = process.memory_info().rss / 1e6
    for way, figures in results.items():
        print(
            f"{way:<24} p50 {figures['p50_ms']:6.2f} ms   p99 "
            f"{figures['p99_ms']:6.2f} ms   batches of {_BATCH_SIZE.value}: "
            f"{figures['texts_per_second']:.0f} texts/s"
            + (
                f"   {figures['megabytes']:.0f} MB"
                if "megabytes" in figures
                else ""
            )
        )
    print(json.dumps(results))


def asker(loader: native_loader.NativeLoader):
    """Returns what asks the C program, which takes the time itself."""
    return lambda batch: loader.ask(batch)[1]


def timed(predictor: SavedModelPredictor):
    """Returns what asks a predictor's `serving_default`."""

    def ask(batch: list[bytes]) -> float:
        start = time.perf_counter()
        predictor.call("serving_default", {"text": np.array(batch, object)})
        return time.perf_counter() - start

    return ask


def onnx_runtime(file: str):
    """Returns what asks an ONNX model of classes, tokenizing included."""
    import onnxruntime
    import tokenizers

    session = onnxruntime.InferenceSession(
        file, providers=["CPUExecutionProvider"]
    )
    tokenizer = tokenizers.Tokenizer.from_file(
        os.path.join(os.path.dirname(file), "tokenizer.json")
    )
    metadata = session.get_modelmeta().custom_metadata_map
    tokenizer.enable_truncation(int(metadata["max_seq_length"]))
    tokenizer.enable_padding()
    names = [one.name for one in session.get_inputs()]

    def ask(batch: list[bytes]) -> float:
        start = time.perf_counter()
        encoded = tokenizer.encode_batch([text.decode() for text in batch])
        columns = {
            "input_ids": [one.ids for one in encoded],
            "attention_mask": [one.attention_mask for one in encoded],
            "token_type_ids": [one.type_ids for one in encoded],
        }
        session.run(
            None, {name: np.array(columns[name], np.int64) for name in names}
        )
        return time.perf_counter() - start

    return ask


def measure(ways: dict, texts: list[bytes]) -> dict[str, dict[str, float]]:
    """Times each way on each text and on each batch, by turns.

    Texts are asked 50 at a time: after another model's turn the first ones
    meet a cache without the weights, as no server does that answers often.
    """
    single = {way: [] for way in ways}
    for start in range(0, len(texts), _TURN):
        for way, ask in ways.items():
            for text in texts[:_WARM_UP_REQUESTS]:
                ask([text])
            single[way] += [
                ask([text]) for text in texts[start : start + _TURN]
            ]
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
