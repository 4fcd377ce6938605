import collections
import json
import pathlib
import shutil

import pandas as pd
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from bert_tf.inference.saved_model_predictor import SavedModelPredictor
from bert_tf.serving import export, warm_up


def records(saved_model):
    path = f"{saved_model}/{warm_up.PATH}"
    return [
        prediction_log_pb2.PredictionLog.FromString(record)
        for record in tf.data.TFRecordDataset(path).as_numpy_iterator()
    ]


def test_every_signature_at_several_lengths(saved_model):
    requests = [log.predict_log.request for log in records(saved_model)]
    counts = collections.Counter(
        request.model_spec.signature_name for request in requests
    )
    assert counts == dict.fromkeys(
        SavedModelPredictor(saved_model).signatures, 4
    )
    assert {request.model_spec.name for request in requests} == {"reviews"}
    lengths = [
        request.inputs["input_word_ids"].tensor_shape.dim[1].size
        for request in requests
        if request.model_spec.signature_name == "tokens"
    ]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1]


def test_the_stand_in_replays_all(server):
    if server.stand_in is None:
        pytest.skip("a real server does not say")
    assert server.stand_in.replayed == 20


def test_a_record_that_fails_is_found(saved_model, tmp_path):
    path = str(tmp_path / "1")
    shutil.copytree(saved_model, path)
    predictor = SavedModelPredictor(path)

    def replay(logs):
        with tf.io.TFRecordWriter(f"{path}/{warm_up.PATH}") as writer:
            for log in logs:
                writer.write(log.SerializeToString())
        return warm_up.replay(predictor)

    first, *others = records(path)
    assert "text" in first.predict_log.request.inputs
    first.predict_log.request.model_spec.signature_name = "tokens"
    good = next(
        log
        for log in others
        if log.predict_log.request.model_spec.signature_name == "tokens"
    )
    assert replay([good]) == 1
    with pytest.raises(TypeError, match="missing a required .*argument"):
        replay([good, first])
    inputs = good.predict_log.request.inputs
    mask = tf.make_ndarray(inputs["input_mask"])[:, 1:]
    inputs["input_mask"].CopyFrom(tf.make_tensor_proto(mask))
    # By which operation meets it first.
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="(?i)incompatible|reshape"
    ):
        replay([good])


def test_examples_are_short_middle_and_long():
    texts = (["four", "", "sixsix", "1", "fives"],)
    assert warm_up.example_texts(texts) == [("",), ("four",), ("sixsix",)]


def test_a_request_to_look_at_is_short():
    long = " ".join(["word"] * 300)
    requested = warm_up.request_texts([("one",), (long,), (long,)])
    assert requested == [("one",), (" ".join(["word"] * 12),)]
    assert warm_up.request_texts([("字" * 500, "b")]) == [("字" * 80, "b")]


def published(folder: str) -> str:
    """The texts in request.json and in the warm-up requests."""
    texts = []
    for log in records(folder):
        for values in log.predict_log.request.inputs.values():
            if values.dtype == tf.string.as_datatype_enum:
                texts += [t.decode() for t in tf.make_ndarray(values)]
    with open(f"{folder}/../serving/request.json") as file:
        texts += sum(json.load(file)["inputs"].values(), [])
    return texts


def test_no_evaluation_text_is_published(saved_model, trained_run, tmp_path):
    evaluated = set(pd.read_csv(f"{trained_run}/predictions.csv")["text"])
    assert not evaluated & set(published(saved_model))
    path = tmp_path / "mine.txt"
    path.write_text("a text\nof my own\n")
    for choice, expected in (
        ("evaluation", evaluated), (str(path), {"a text", "of my own"}),
    ):  # fmt: skip
        folder = export.export(
            trained_run, name=pathlib.Path(choice).stem,
            models_dir=str(tmp_path), warm_up_texts=choice,
        )  # fmt: skip
        assert set(published(folder)) <= expected
