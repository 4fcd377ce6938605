"""Every signature, for texts and for pairs, answers whatever comes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_tf.config.training import TrainConfig
from bert_tf.inference.loaded_run import LoadedRun
from bert_tf.models import classifier
from bert_tf.serving import signatures
from bert_tf.tasks.classification import Classification
from tests.conftest import tiny_backbone
from tests.serving import native_loader
from tests.serving.hostile import HOSTILE

CLASSES = ("bad", "fair", "good", "poor", "so-so", "superb")
TEXTS = [b"the film was good", b"un happy plot ! " * 9, *HOSTILE]


@pytest.fixture(scope="module", params=["single", "pairs"])
def saved(request, preprocessor, tmp_path_factory) -> str:
    keras.utils.set_random_seed(2)
    config = TrainConfig(
        train_file=("train.csv",),
        output_dir="run",
        max_seq_length=16,
        text_pair_column="text_b" if request.param == "pairs" else None,
    )
    model = classifier.build_classifier(
        tiny_backbone(), num_classes=len(CLASSES), dropout=0.1
    )
    # Random answers of a fresh model are all alike.
    model.get_layer("logits").kernel.assign(
        keras.random.normal([32, len(CLASSES)], seed=4)
    )
    module = signatures.ServingModule(
        LoadedRun(config, Classification(CLASSES), preprocessor, model)
    )
    path = str(tmp_path_factory.mktemp(request.param) / "1")
    tf.saved_model.save(module, path, signatures=module.functions)
    return path


@pytest.fixture(scope="module")
def model(saved):
    return tf.saved_model.load(saved)


def input_names(model):
    default = model.signatures["serving_default"]
    return sorted(default.structured_input_signature[1])


def ask(model, signature, *columns):
    """Pairs meet the texts in reverse unless they are given."""
    if len(columns) == 1:
        columns = (columns[0], columns[0][::-1])
    inputs = {
        name: tf.constant(column, tf.string)
        for name, column in zip(input_names(model), columns, strict=False)
    }
    return model.signatures[signature](**inputs)


def test_hostile_texts_leave_their_neighbours_alone(model):
    together = ask(model, "serving_default", TEXTS)["probabilities"].numpy()
    assert np.isfinite(together).all()
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-6)
    for i, row in enumerate(together):
        alone = ask(model, "serving_default", [TEXTS[i]], [TEXTS[-1 - i]])
        np.testing.assert_allclose(alone["probabilities"][0], row, atol=1e-6)


def test_signatures_agree(model):
    default = ask(model, "serving_default", TEXTS)
    probabilities = default["probabilities"].numpy()
    names = np.array(CLASSES, object)
    labels = [label.decode() for label in default["label"].numpy()]
    assert labels == list(names[probabilities.argmax(axis=1)])
    np.testing.assert_allclose(default["score"], probabilities.max(axis=1))

    top = ask(model, "top_k", TEXTS)
    order = np.argsort(-probabilities, axis=1)[:, :5]
    assert [
        [label.decode() for label in row] for row in top["labels"].numpy()
    ] == names[order].tolist()
    np.testing.assert_allclose(
        top["scores"], np.take_along_axis(probabilities, order, 1), atol=1e-6
    )

    tokens = ask(model, "tokenize", TEXTS)
    assert {value.dtype for value in tokens.values()} == {tf.int32}
    again = model.signatures["tokens"](**tokens)
    np.testing.assert_allclose(again["probabilities"], probabilities, atol=1e-6)
    np.testing.assert_allclose(
        tf.nn.softmax(again["logits"]), probabilities, atol=1e-6
    )
    assert ask(model, "embed", TEXTS)["embedding"].shape == (len(TEXTS), 32)


def test_empty_batches(model):
    shapes = {
        "serving_default": ("probabilities", (0, 6)),
        "top_k": ("labels", (0, 5)),
        "tokenize": ("input_mask", (0, 1)),
        "embed": ("embedding", (0, 32)),
    }
    for signature, (output, shape) in shapes.items():
        assert ask(model, signature, [])[output].shape == shape


@pytest.mark.slow
def test_native_loader_takes_as_many_inputs(saved, model, tmp_path):
    if native_loader.compiler() is None:
        pytest.skip("there is no C compiler")
    program = native_loader.build(tmp_path)
    libraries = native_loader.operation_libraries()
    default = ask(model, "serving_default", TEXTS)
    columns = (TEXTS, TEXTS[::-1])[: len(input_names(model))]
    with native_loader.NativeLoader(
        program, saved, libraries, "serving_default"
    ) as loader:
        found, _ = loader.ask(*columns)
    np.testing.assert_allclose(
        found["probabilities"], default["probabilities"], atol=1e-5
    )
