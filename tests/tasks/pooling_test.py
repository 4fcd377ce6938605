"""The windows of a text as one answer: in numbers, in the graph, refused."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_tf.config.training import TrainConfig
from bert_tf.data import encoding, input_pipeline
from bert_tf.errors import InputError
from bert_tf.inference.loaded_run import LoadedRun
from bert_tf.serving import signatures
from bert_tf.tasks import head, pooling
from bert_tf.tasks.classification import Classification
from bert_tf.tasks.multi_label import MultiLabel
from bert_tf.tasks.regression import Regression
from bert_tf.training.train import train_files as train
from tests.conftest import tiny_backbone, write_csv

CLASSES = ("bad", "fair", "good")
TEXTS = ["good film " * 20, "", "the plot", "a b c d e f g h i j k l m n o p q"]


def test_windows_hold_every_piece(preprocessor):
    whole = encoding.encode(preprocessor, (TEXTS,))
    encoded = encoding.encode(preprocessor, (TEXTS,), stride=5)
    assert np.bincount(encoded.example_index).tolist() == [7, 1, 1, 2]
    assert encoded.lengths.max() == preprocessor.sequence_length
    for text in (1, 2):
        # One window is what there would be without windows.
        (window,) = np.flatnonzero(encoded.example_index == text)
        start, end = encoded.row_splits[window : window + 2]
        first, last = whole.row_splits[text : text + 2]
        np.testing.assert_array_equal(
            encoded.token_ids[start:end], whole.token_ids[first:last]
        )
    ids = tf.function(preprocessor.tokenize)(tf.constant(TEXTS)).to_list()
    for window, owner in enumerate(encoded.example_index):
        number = window - np.flatnonzero(encoded.example_index == owner)[0]
        start, end = encoded.row_splits[window : window + 2]
        assert (
            encoded.token_ids[start + 1 : end - 1].tolist()
            == (ids[owner][5 * number : 5 * number + 14])
        )


def test_mean_and_max():
    values = {
        "probabilities": tf.constant([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]]),
        "embedding": tf.constant([[1.0], [3.0], [5.0]]),
    }
    example_index = tf.constant([0, 0, 1], tf.int64)
    mean = pooling.pool(Classification(CLASSES, 4), values, example_index)
    np.testing.assert_allclose(
        mean["probabilities"], [[0.65, 0.35], [0.3, 0.7]]
    )
    largest = pooling.pool(
        Classification(CLASSES, 4, "max"), values, example_index
    )
    np.testing.assert_allclose(
        largest["probabilities"], [[0.6, 0.4], [0.3, 0.7]], rtol=1e-6
    )
    np.testing.assert_allclose(largest["embedding"], [[2.0], [5.0]])
    task = MultiLabel(CLASSES, stride=4, window_pooling="max")
    np.testing.assert_allclose(
        pooling.pool(task, values, example_index)["probabilities"],
        [[0.9, 0.6], [0.3, 0.7]],
    )


def test_each_text_counts_the_same(preprocessor):
    """The losses of an epoch's batches add up to the mean over texts."""
    encoded = encoding.encode(preprocessor, (TEXTS,), stride=5)
    plan = input_pipeline.plan_evaluation(encoded.lengths, batch_size=4)
    labels, weights, weight_sum = pooling.by_window(
        Classification(CLASSES, 5),
        np.arange(4),
        np.array([1, 1, 1, 3], np.float32),
        encoded,
        steps=len(plan),
    )
    assert labels.tolist() == encoded.example_index.tolist()
    batches = input_pipeline.build_dataset(
        encoded, plan, batch_size=4, pad_token_id=0, labels=labels,
        weights=weights, weight_sum=weight_sum,
    )  # fmt: skip
    by_text = np.zeros(4)
    for batch in batches:
        np.add.at(by_text, batch["label"].numpy(), batch["weight"].numpy())
    np.testing.assert_allclose(by_text / len(plan), [1 / 6, 1 / 6, 1 / 6, 0.5])


@pytest.mark.parametrize(
    "task",
    [
        Classification(CLASSES, 5, "max"),
        MultiLabel(CLASSES, stride=5),
        Regression(stride=5, window_pooling="max"),
    ],
    ids=lambda task: task.name,
)
def test_signatures_pool_what_tokens_answers(task, preprocessor):
    config = TrainConfig(
        train_file=("train.csv",), output_dir="run", max_seq_length=16,
        long_text="window", doc_stride=5, task=task.name,
    )  # fmt: skip
    keras.utils.set_random_seed(3)
    model = head.build_model(task, tiny_backbone(), dropout=0.1)
    # Random answers of a fresh model are all alike.
    model.get_layer("logits").kernel.assign(
        keras.random.normal([32, task.num_outputs], seed=4)
    )
    functions = signatures.ServingModule(
        LoadedRun(config, task, preprocessor, model)
    ).functions
    texts = tf.constant(TEXTS + ["good " * 500])
    tokens = functions["tokenize"](text=texts)
    example_index = tokens.pop("example_index")
    windows = functions["tokens"](**tokens)
    assert len(example_index) > 100
    expected = pooling.pool(
        task, {task.prediction_key: windows[task.prediction_key]}, example_index
    )[task.prediction_key]
    answer = functions["serving_default"](text=texts)
    if task.name == "regression":
        found = answer["score"][:, tf.newaxis]
    else:
        found = answer["probabilities"]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert functions["embed"](text=texts)["embedding"].shape == (5, 32)
    # A run and an export say in task.json what to do with windows.
    again = type(task)(
        task.class_names, **json.loads(json.dumps(task.parameters))
    )
    assert again.stride == 5
    assert again.window_pooling == task.window_pooling


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"calibrate": True}, "--calibrate does not go with"),
        ({"task": "token"}, "asks for every word"),
        ({"long_text": "truncate", "window_pooling": "max"}, "needs --long_"),
        ({"window_pooling": "median"}, "must be one of mean, max"),
        ({"doc_stride": 0}, "must be above 0"),
    ],
)
def test_settings_that_do_not_fit(tiny_config, changes, message):
    with pytest.raises(InputError, match=message):
        tiny_config(**{"long_text": "window", **changes})


def test_pairs_are_refused(tiny_config, tmp_path):
    rows = [(f"a {i}", "b", "xy"[i % 2]) for i in range(20)]
    file = write_csv(tmp_path / "p.csv", rows, header="text_a,text_b,label")
    with pytest.raises(InputError, match="for single texts"):
        train(tiny_config(train_file=(file,), long_text="window"))
