"""Quantizes an ONNX model to 8 bits, and measures what that costs.

Weights become whole numbers of 8 bits, a scale for each column, and what they
are multiplied with while the model runs: dynamic quantization.
"""

import itertools
import logging
import os
import time
from collections.abc import Iterator

import numpy as np
from onnxruntime.quantization import QuantType, quantize_dynamic

from bert_tf.inference.loaded_run import LoadedRun
from bert_tf.serving.formats import onnx_model
from bert_tf.serving.formats.evaluation_texts import EvaluationTexts, Logits

_SINGLE_TEXTS, _BATCH_SIZE = 50, 32
_MEGABYTE = 1e6


def quantize(folder: str) -> None:
    """Writes model_int8.onnx beside model.onnx."""
    # It tells of every tensor that it leaves alone.
    logging.disable(logging.WARNING)
    try:
        quantize_dynamic(
            os.path.join(folder, onnx_model.MODEL),
            os.path.join(folder, onnx_model.QUANTIZED),
            weight_type=QuantType.QInt8,
            per_channel=True,
            # Sums of 8 bits overflow on CPUs without VNNI; 7 bits leave room.
            reduce_range=True,
        )
    finally:
        logging.disable(logging.NOTSET)


def compare(folder: str, texts: EvaluationTexts) -> list[list[str]]:
    """Returns the rows of a table of both models: what it is, two values.

    The first row is its head. Times are of this machine, as it was at the
    moment.
    """
    run, columns, first = texts.run, [], None
    batches = list(texts.batches(_BATCH_SIZE))
    for file in (onnx_model.MODEL, onnx_model.QUANTIZED):
        logits_of = onnx_model.load(folder, run, file=file)
        start = time.perf_counter()
        logits = [logits_of(features) for features in batches]
        seconds = time.perf_counter() - start
        decided = [
            row
            for one, features in zip(logits, batches, strict=True)
            for row in _decide(
                run, texts.answers(one, features["padding_mask"])
            )
        ]
        first = first or decided
        size = os.path.getsize(os.path.join(folder, file)) / _MEGABYTE
        rate = len(decided) / seconds
        column = {
            f"{len(decided)} evaluation texts": file,
            "size": f"{size:.1f} MB",
            "one text, p50": f"{1000 * _median(logits_of, texts):.1f} ms",
            f"batches of {_BATCH_SIZE}": f"{rate:.0f} texts/s",
        }
        if run.task.name != "regression":
            pairs = zip(first, decided, strict=True)
            same = [np.array_equal(*pair) for pair in pairs]
            column["the same answer"] = f"{np.mean(same):.2%}"
        if run.task.is_multiclass:
            names = run.task.class_names
            pairs = zip(decided, texts.true_labels, strict=True)
            right = [names[row] == label for row, label in pairs]
            column["accuracy"] = f"{np.mean(right):.4f}"
        columns.append(column)
    return [
        [name, *(column[name] for column in columns)] for name in columns[0]
    ]


def _decide(run: LoadedRun, values: np.ndarray) -> Iterator[np.ndarray]:
    """Yields what each row comes down to, of which no number is left."""
    if run.task.name == "multi_label":
        yield from values >= np.array(run.task.thresholds or 0.5)
    elif run.task.name == "span":
        yield from values.argmax(axis=1)
    elif run.task.name == "regression":
        yield from values
    else:
        yield from values.argmax(axis=-1)


def _median(logits_of: Logits, texts: EvaluationTexts) -> float:
    """Returns the seconds of one text."""
    seconds = []
    for features in itertools.islice(texts.batches(1), _SINGLE_TEXTS):
        start = time.perf_counter()
        logits_of(features)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))
