"""Vectors as sentence-transformers makes them, and the nearest of them."""

import json
import pathlib

import numpy as np
import pytest

from bert_tf.errors import InputError
from bert_tf.inference import embeddings
from bert_tf.presets import presets
from tests.conftest import minilm_folder, review_rows, write_csv
from tests.scripts import run_script

REFERENCE = pathlib.Path(__file__).parent / "embeddings.json"


@pytest.fixture(scope="module")
def embedder(preset):
    return embeddings.Embedder(
        presets.resolve(preset), max_seq_length=16, batch_size=4
    )


def test_equal_sentence_transformers():
    """Made with Transformers: mean pooling, normalized, PyTorch, float32."""
    minilm_folder()
    reference = json.loads(REFERENCE.read_text(encoding="utf-8"))
    vectors = embeddings.Embedder(
        presets.resolve("minilm_l6_en_uncased"), max_seq_length=256
    )(reference["texts"])
    np.testing.assert_allclose(vectors, reference["vectors"], atol=1e-4)


def test_order_length_and_padding(embedder):
    texts = [text for text, _ in review_rows(11)] + ["", "bad"]
    vectors = embedder(texts)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for i in (0, 5, 12):
        alone = embedder([texts[i]])[0]
        np.testing.assert_allclose(alone, vectors[i], atol=1e-5)
    assert embedder([]).shape == (0, 32)


def test_longer_than_the_model(preset):
    with pytest.raises(InputError, match="beyond the 32 positions"):
        embeddings.Embedder(presets.resolve(preset), max_seq_length=33)


def test_nearest():
    vectors = np.eye(3, dtype=np.float32)
    queries = np.array([[0.6, 0.8, 0.0]], np.float32)
    rows, cosines = embeddings.nearest(queries, vectors, 2)
    assert rows.tolist() == [[1, 0]]
    np.testing.assert_allclose(cosines, [[0.8, 0.6]])


@pytest.mark.slow
def test_scripts(tmp_path, preset):
    rows = review_rows(9)
    texts = write_csv(tmp_path / "t.csv", rows)
    output = str(tmp_path / "v.npy")
    settings = (
        f"--input_file={texts}", f"--preset={preset}", "--max_seq_length=16",
    )  # fmt: skip
    run_script("embed", *settings, f"--output_file={output}")
    assert np.load(output).shape == (9, 32)
    done = run_script("embed", *settings, "--output_file=v.txt", status=1)
    assert "must end with .npy or .parquet" in done.stderr
    done = run_script(
        "similar", *settings, f"--embeddings={output}", "--top_k=2", rows[3][0]
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert lines[1].split("\t") == ["  1.0000", "4", rows[3][0]]
