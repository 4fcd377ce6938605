"""Requests that TensorFlow Serving replays before it serves.

Without them the first user waits for TensorFlow to plan and allocate. One
record that fails keeps the server from loading the model at all, so each is
replayed here before it is published.
"""

import os
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from bert_tf.inference import model_files
from bert_tf.inference.model_files import token_inputs
from bert_tf.inference.saved_model_predictor import SavedModelPredictor

PATH = os.path.join(model_files.EXTRA, "tf_serving_warmup_requests")
# What the server takes.
_MOST_RECORDS = 1000
_LARGE_BATCH = 8
# Of the texts in request.json, for people to look at.
_FEW_WORDS, _FEW_CHARACTERS = 12, 80


def example_texts(
    segments: tuple[Sequence[str], ...],
) -> list[tuple[str, ...]]:
    """Chooses the shortest, the middle and the longest example."""
    examples = sorted(
        zip(*segments, strict=True), key=lambda texts: sum(map(len, texts))
    )
    return [examples[0], examples[len(examples) // 2], examples[-1]]


def synthetic_texts(
    examples: Sequence[tuple[str, ...]], tokens: Sequence[str]
) -> list[tuple[str, ...]]:
    """Returns texts of as many words as the examples', of the vocabulary's.

    So that the published files hold no text that somebody wrote.
    """
    words = [token for token in tokens if token.isalpha()] or list(tokens)
    generator = np.random.default_rng(0)
    return [
        tuple(
            " ".join(generator.choice(words, max(1, len(text.split()))))
            for text in texts
        )
        for texts in examples
    ]


def request_texts(
    examples: Sequence[tuple[str, ...]],
) -> list[tuple[str, ...]]:
    """Returns the beginnings of the first two examples, for request.json."""
    return [
        tuple(
            " ".join(text.split()[:_FEW_WORDS])[:_FEW_CHARACTERS]
            for text in texts
        )
        for texts in examples[:2]
    ]


def write(
    predictor: SavedModelPredictor,
    *,
    name: str,
    texts: Sequence[tuple[str, ...]],
) -> int:
    """Writes a record for each signature and text, and a larger batch each.

    Args:
        predictor: the SavedModel, to whose folder they go.
        texts: a few examples of different lengths, each of one or two texts.

    Returns:
        The number of records, all of which were replayed.
    """
    batches = [[text] for text in texts] + [[texts[-1]] * _LARGE_BATCH]
    signatures = [
        name
        for name in predictor.signatures
        # A server that batches refuses answers of more rows than were asked,
        # and so would not load the model.
        if name != "tokenize" or predictor.task.stride is None
    ]
    with tf.io.TFRecordWriter(os.path.join(predictor.path, PATH)) as writer:
        for batch in batches:
            text_inputs = {
                key: np.array([text.encode() for text in column], object)
                for key, column in zip(
                    predictor.inputs,
                    zip(*batch, strict=True),
                    strict=True,
                )
            }
            for signature in signatures:
                inputs = text_inputs
                if signature == "tokens":
                    tokens = predictor.call("tokenize", text_inputs)
                    inputs = token_inputs(tokens)
                log = prediction_log_pb2.PredictionLog()
                request = log.predict_log.request
                request.model_spec.name = name
                request.model_spec.signature_name = signature
                for key, values in inputs.items():
                    request.inputs[key].CopyFrom(tf.make_tensor_proto(values))
                writer.write(log.SerializeToString())
    return replay(predictor)


def replay(predictor: SavedModelPredictor) -> int:
    """Runs every record as the server would, and returns their number.

    Raises:
        ValueError: there are more than the server takes.
        TypeError: a record's inputs are not those of its signature.
        tf.errors.OpError: a record fails.
    """
    count = 0
    path = os.path.join(predictor.path, PATH)
    for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        request = log.predict_log.request
        inputs: Mapping[str, np.ndarray] = {
            key: tf.make_ndarray(value) for key, value in request.inputs.items()
        }
        predictor.call(request.model_spec.signature_name, inputs)
        count += 1
    if count > _MOST_RECORDS:
        raise ValueError(f"{count} records; a server takes {_MOST_RECORDS}")
    return count
