import pytest
import tensorflow as tf
import tensorflow_text as tf_text

from bert_tf.errors import InputError
from bert_tf.serving import bundle, operation_check


def save(tmp_path, function, spec):
    module = tf.Module()
    module.f = tf.function(function, input_signature=[spec])
    path = str(tmp_path / "model")
    tf.saved_model.save(module, path, signatures=module.f)
    return path


def problems(path, version="2.12"):
    return operation_check.problems(
        operation_check.read_meta_graph(path), version
    )


TEXT = tf.TensorSpec([None], tf.string)
NUMBER = tf.TensorSpec([], tf.float32)


def test_an_operation_that_old_servers_lack(tmp_path):
    def trim(texts):
        words = tf.strings.split(texts)
        trimmed = tf_text.RoundRobinTrimmer(3).trim([words, words])
        return trimmed[0].to_tensor()

    path = save(tmp_path, trim, TEXT)
    assert problems(path, "2.20") == []
    with pytest.raises(
        InputError,
        match=r"RoundRobinTrim: TensorFlow Serving 2.19 links TensorFlow "
        r"Text 2.12.1, which lacks it; the first .* Serving 2.20",
    ):
        operation_check.check(path, "2.19")


def test_random_compiled_and_python_operations(tmp_path):
    def random(x):
        return x + tf.random.uniform([])

    def compiled(x):
        return tf.function(lambda y: y * 2, jit_compile=True)(x)

    def python(x):
        return tf.ensure_shape(
            tf.numpy_function(lambda y: y, [x], tf.float32), []
        )

    for i, (function, told) in enumerate(
        ((random, "random"), (compiled, "XLA"), (python, "no Python"))
    ):
        found = problems(save(tmp_path / str(i), function, NUMBER))
        assert len(found) == 1
        assert told in found[0]


def test_unknown_operations(monkeypatch, saved_model):
    monkeypatch.delattr(tf.raw_ops, "GatherV2")
    assert any("GatherV2: neither in core" in p for p in problems(saved_model))


def test_what_is_no_saved_model(tmp_path):
    with pytest.raises(InputError, match="no saved_model.pb"):
        operation_check.read_meta_graph(str(tmp_path))
    (tmp_path / "saved_model.pb").write_bytes(b"\xff\xff\xff")
    with pytest.raises(InputError, match="damaged"):
        operation_check.read_meta_graph(str(tmp_path))


def test_the_table_is_of_the_installed_package():
    """Each operation that it lists for the newest version is registered."""
    from tensorflow.python.framework import op_def_registry

    table = bundle.linked_operations()
    newest = list(table["text_operations"].values())[-1]
    assert len(newest) > 30
    for name in newest:
        assert op_def_registry.get(name) is not None, name
