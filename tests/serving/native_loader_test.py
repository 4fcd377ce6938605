"""The SavedModel answers without Python as it does with it."""

import csv
import subprocess

import numpy as np
import pytest

from bert_tf.inference.saved_model_predictor import SavedModelPredictor
from tests.conftest import shared_data
from tests.serving import native_loader
from tests.serving.hostile import HOSTILE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        native_loader.compiler() is None, reason="there is no C compiler"
    ),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return native_loader.build(tmp_path_factory.mktemp("native"))


def check(program, saved_model, texts, batch_sizes):
    predictor = SavedModelPredictor(saved_model)
    libraries = native_loader.operation_libraries()
    asked = 0
    with native_loader.NativeLoader(
        program, saved_model, libraries, "serving_default"
    ) as loader:
        while asked < len(texts):
            batch = texts[asked : asked + batch_sizes[asked % len(batch_sizes)]]
            found, _ = loader.ask(batch)
            answers = predictor.call(
                "serving_default", {"text": np.array(batch, object)}
            )
            np.testing.assert_allclose(
                found["probabilities"], answers["probabilities"], atol=1e-5
            )
            assert found["label"].tolist() == answers["label"].tolist()
            asked += len(batch)
    assert loader.exit_status == 0


def test_500_texts_of_real_data(program, saved_model):
    with open(shared_data("disaster_tweets", "test.csv"), newline="") as file:
        texts = [row["text"].encode() for row in csv.DictReader(file)]
    check(program, saved_model, texts[:493] + HOSTILE, [1, 7, 32])


def test_a_missing_operation_library_is_named(program, saved_model):
    libraries = [
        path
        for path in native_loader.operation_libraries()
        if "fast_wordpiece" not in path
    ]
    done = subprocess.run(
        [program, saved_model, "serving_default", *libraries],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "FastWordpieceTokenizeWithOffsets" in done.stderr


def test_an_unknown_signature(program, saved_model):
    done = subprocess.run(
        [program, saved_model, "nope", *native_loader.operation_libraries()],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "nope: no signature" in done.stderr
