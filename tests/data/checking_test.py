import numpy as np
import pytest

from bert_tf.data import checking
from bert_tf.errors import InputError
from tests.data.splitting_test import frame


def test_report(preprocessor):
    train = frame(
        [("good", "1"), ("Good ", "0"), ("bad film", "0"), ("bad film", "0")]
        + [("a " * 40, "1")]
    )
    test = frame([("bad  film", "0"), ("new", "1")])
    report = checking.check_data(
        {"train": train, "test": test}, preprocessor, 512
    )
    part = report["parts"]["train"]
    assert part["rows"] == 5
    assert part["classes"] == {"0": 3, "1": 2}
    assert part["duplicates"] == 2
    assert part["contradictions"] == 1
    assert part["contradiction_lines"] == [2, 3]
    assert report["shared_texts"] == {"train and test": 1}
    assert report["tokens"]["percentile_100"] == 42
    assert report["truncated"] == 1
    assert report["recommended_max_seq_length"] == 48
    text = checking.describe(report)
    assert "2 rows repeat" in text
    assert "texts shared between train and test: 1  <-" in text


def test_recommended_length_covers_99_percent():
    counts = np.array([10] * 990 + [500] * 10)
    assert checking.recommended_length(counts, 512) == 16
    counts = np.array([10] * 900 + [700] * 100)
    assert checking.recommended_length(counts, 512) == 512


def test_label_that_training_lacks():
    test = frame([("d", "x"), ("e", "z")])
    with pytest.raises(InputError, match=r'label "z" \(lines 3\)'):
        checking.check_known_labels(test, ("x", "y"))
