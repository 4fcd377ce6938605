"""The SavedModel answers without Python as it does with it."""

import csv
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from bert_tf.serving.predictor import Predictor
from tests.conftest import shared_data
from tests.serving import native_loader

HOSTILE = [
    b"",
    b"\0\0 good",
    b"\xff\xfe good \xc3",
    "😀🏽‍♀️ שלום 中文 café".encode(),
    b"[SEP] [MASK] [CLS]",
    b"a" * 1_000_000,
    b"good " * 200_000,
]

pytestmark = pytest.mark.skipif(
    native_loader.compiler() is None, reason="there is no C compiler"
)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return native_loader.build(tmp_path_factory.mktemp("native"))


def check(program, saved_model, texts, batch_sizes):
    predictor = Predictor(saved_model)
    libraries = native_loader.operation_libraries()
    asked = 0
    with native_loader.NativeLoader(
        program, saved_model, libraries, "serving_default"
    ) as loader:
        while asked < len(texts):
            batch = texts[asked : asked + batch_sizes[asked % len(batch_sizes)]]
            labels, probabilities, _ = loader.ask(batch)
            answers = predictor.call(
                "serving_default", {"text": np.array(batch, object)}
            )
            np.testing.assert_allclose(
                probabilities, answers["probabilities"], atol=1e-5
            )
            assert labels == [label.decode() for label in answers["label"]]
            asked += len(batch)
    assert loader.exit_status == 0


def test_as_python_answers(program, saved_model):
    texts = [f"the film was {word}".encode() for word in ("good", "sad", "x")]
    check(program, saved_model, texts + HOSTILE, [1, 3, 2])


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


def requirements_of(*names) -> set[str]:
    """Returns the packages that these need, themselves included."""
    import importlib.metadata
    import re

    found, waiting = set(), list(names)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            requires = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        found.add(name)
        waiting += [
            re.match(r"[\w.-]+", requirement)[0]
            for requirement in requires
            if "extra ==" not in requirement
        ]
    return found


def test_in_an_environment_of_tensorflow_and_its_text_only(
    saved_model, tmp_path
):
    """Only what tensorflow and tensorflow-text need can be imported.

    Run folder, vocabulary, labels and this project are out of reach; the
    model was moved and its assets.extra deleted.
    """
    import importlib.metadata

    site = tmp_path / "site"
    site.mkdir()
    for package in requirements_of("tensorflow", "tensorflow-text"):
        distribution = importlib.metadata.distribution(package)
        for file in distribution.files or []:
            top = file.parts[0]
            if top != ".." and not (site / top).exists():
                os.symlink(distribution.locate_file(top), site / top)
    moved = tmp_path / "moved"
    shutil.copytree(saved_model, moved)
    shutil.rmtree(moved / "assets.extra")
    code = (
        f"import sys; sys.path.append({str(site)!r})\n"
        "import importlib.util as u\n"
        "for name in ('keras_nlp', 'keras_hub', 'bert_tf', 'pandas',\n"
        "             'sklearn', 'tensorflow_serving'):\n"
        "    assert u.find_spec(name) is None, name\n"
        "import tensorflow as tf, tensorflow_text\n"
        f"loaded = tf.saved_model.load({str(moved)!r})\n"
        "answer = loaded.signatures['serving_default'](text=tf.constant(\n"
        "    ['the film was good', 'the plot was awful']))\n"
        "print([label.decode() for label in answer['label'].numpy()])\n"
    )
    # -I and -S: neither this folder, nor the environment's packages.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "['pos', 'neg']"
