import io

import numpy as np
import pandas as pd

from bert_tf.inference import suggestions
from tests.conftest import review_rows, write_csv
from tests.scripts import run_script


def test_the_margin_is_between_the_likeliest_two():
    probabilities = np.array([[0.1, 0.6, 0.3], [0.5, 0.5, 0.0]])
    np.testing.assert_allclose(suggestions.margins(probabilities), [0.3, 0.0])


def test_the_least_sure_that_differ():
    """Four groups of doubtful texts: one of each, however many they are."""
    generator = np.random.default_rng(0)
    groups = np.repeat([0, 1, 2, 3], [30, 5, 3, 2])
    vectors = np.eye(4)[groups] + generator.normal(size=[40, 4]) / 100
    sure = generator.normal(size=[400, 4])
    vectors = np.concatenate([sure, vectors])
    first = np.concatenate([np.full(400, 0.9), generator.uniform(0.5, 0.6, 40)])
    probabilities = np.stack([first, 1 - first], axis=1)
    asked = []

    def embed(rows):
        asked.extend(rows)
        return vectors[rows]

    chosen = suggestions.choose(probabilities, embed, 4)
    assert set(asked) == set(range(400, 440))
    assert sorted(groups[chosen - 400]) == [0, 1, 2, 3]
    assert (np.diff(suggestions.margins(probabilities)[chosen]) >= 0).all()
    # No fewer where clusters share a row, and all where there are no more.
    same = suggestions.choose(probabilities, lambda rows: vectors[rows] * 0, 6)
    assert len(set(same)) == 6
    everything = suggestions.choose(probabilities, embed, 1_000)
    assert sorted(everything) == list(range(440))


def test_the_script(trained_run, preset, tmp_path):
    """It writes the texts with the smallest margins, each once."""
    texts = [text for text, _ in review_rows(60)]
    path = write_csv(tmp_path / "texts.csv", [(one, "") for one in texts * 2])
    done = run_script(
        "suggest", f"--model={trained_run}", f"--input_file={path}",
        f"--preset={preset}", "--max_seq_length=16", "--count=5",
    )  # fmt: skip
    found = pd.read_csv(io.StringIO(done.stdout))
    assert len(found) == 5 and found["text"].is_unique
    assert set(found["text"]) <= set(texts)
    assert found["margin"].is_monotonic_increasing
    np.testing.assert_allclose(
        found["margin"], 2 * found["score"] - 1, atol=1e-5
    )
    assert "5 of 120 texts are to be labelled" in done.stderr
