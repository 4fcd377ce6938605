import numpy as np

from bert_tf.data import data_report, encoding, examples, label_types
from tests.data.splits_test import frame


def test_report(preprocessor):
    train = frame(
        [("good", "1"), ("Good ", "0"), ("bad film", "0"), ("bad film", "0")]
        + [("a " * 40, "1")]
    )
    test = frame([("bad  film", "0"), ("new", "1")])
    splits = {"train": train, "test": test}
    report = data_report.build_data_report(
        splits,
        {
            name: encoding.encode(preprocessor, examples.segments(split))
            for name, split in splits.items()
        },
        max_seq_length=preprocessor.sequence_length,
        max_positions=512,
        count_labels=label_types.of_task("classification").count,
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
    text = data_report.describe(report)
    assert "2 rows repeat" in text
    assert "texts shared between train and test: 1  <-" in text


def test_recommended_length_covers_99_percent():
    counts = np.array([10] * 990 + [500] * 10)
    assert data_report.recommended_length(counts, 512) == 16
    counts = np.array([10] * 900 + [700] * 100)
    assert data_report.recommended_length(counts, 512) == 512
