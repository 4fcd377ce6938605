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
        label_type=label_types.of_task("classification"),
        unknown_id=1,
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


def report_of(preprocessor, splits, *, task="classification", positions=512):
    return data_report.build_data_report(
        splits,
        {
            name: encoding.encode(preprocessor, examples.segments(split))
            for name, split in splits.items()
        },
        max_seq_length=preprocessor.sequence_length,
        max_positions=positions,
        label_type=label_types.of_task(task),
        unknown_id=preprocessor.special_ids.unknown,
    )


def test_what_even_the_longest_cuts(preprocessor):
    texts = [("a " * (40 if i % 4 else 5), "01"[i % 2]) for i in range(40)]
    report = report_of(preprocessor, {"train": frame(texts)}, positions=24)
    assert report["recommended_max_seq_length"] == 24
    assert report["recommended_whole_share"] == 0.25
    text = data_report.describe(report)
    assert "the longest that the model takes, would leave 25% whole" in text
    assert "--long_text=window" in text
    assert "99% whole" not in text


def test_nearly_equal_texts_are_shown(preprocessor):
    train = frame([("Fire at 12 Main St!! http://t.co/a1", "1"), ("b", "0")])
    test = frame([("fire at 34 main st http://t.co/zz", "1"), ("b", "0")])
    report = report_of(preprocessor, {"train": train, "test": test})
    near = report["near_equal_texts"]["train and test"]
    assert near["count"] == 1 and report["shared_texts"]["train and test"] == 1
    text = data_report.describe(report)
    assert "1 more texts of train and test are nearly equal" in text
    assert "f:2 Fire at 12" in text and "f:2 fire at 34" in text


def test_shared_contexts_are_counted(preprocessor):
    train = frame([("a question", "[]")])
    train["text_pair"] = "the context"
    test = frame([("another", "[]"), ("third", "[]")])
    test["text_pair"] = ["The  context", "other"]
    report = report_of(
        preprocessor, {"train": train, "test": test}, task="span"
    )
    assert report["shared_groups"] == {"train and test": 1}
    assert "1 pairs share a text" in data_report.describe(report)


def test_a_vocabulary_of_another_script(preprocessor):
    texts = [("хорошо фильм", "1"), ("good film", "0"), ("плохо", "1")]
    report = report_of(preprocessor, {"train": frame(texts)})
    assert 0.2 < report["unknown_share"] < 0.5
    assert report["unknown_examples"][0] == "хорошо фильм"
    text = data_report.describe(report)
    assert "of the tokens are unknown to the vocabulary" in text
    assert "'хорошо фильм'" in text and "--preset of this language" in text
    report = report_of(preprocessor, {"train": frame([("good film", "0")])})
    assert report["unknown_share"] == 0.0
    assert "unknown" not in data_report.describe(report)
