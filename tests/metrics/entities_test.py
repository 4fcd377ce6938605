import random

import pytest

from bert_tf.metrics import entities

TAGS = ("O", "B-a", "I-a", "B-b", "I-b")


def random_sentences(seed):
    generator = random.Random(seed)
    return [
        generator.choices(TAGS, k=generator.randint(1, 9)) for _ in range(400)
    ]


def test_strict_iob2():
    tags = ["I-a", "B-a", "I-a", "I-b", "B-b", "B-b", "I-b", "O", "I-b"]
    assert entities.spans_of(tags) == [("a", 1, 3), ("b", 4, 5), ("b", 5, 7)]


def test_equals_seqeval():
    seqeval = pytest.importorskip("seqeval.metrics", reason="no seqeval here")
    from seqeval.scheme import IOB2

    gold = random_sentences(1)
    found = [
        sentence if i % 3 == 0 else other[: len(sentence)]
        + ["O"] * (len(sentence) - len(other))
        for i, (sentence, other) in enumerate(
            zip(gold, random_sentences(2), strict=True)
        )
    ]  # fmt: skip
    ours = entities.entity_metrics(gold, found, loss=0.0)
    report = seqeval.classification_report(
        gold, found, mode="strict", scheme=IOB2, output_dict=True,
        zero_division=0,
    )  # fmt: skip
    for key, average in (("", "micro avg"), ("_macro", "macro avg")):
        assert ours[f"eval_f1{key}"] == pytest.approx(
            report[average]["f1-score"]
        )
    for key in ("precision", "recall"):
        assert ours[f"eval_{key}"] == pytest.approx(report["micro avg"][key])
    for kind in "ab":
        assert ours["per_class"][kind]["f1"] == pytest.approx(
            report[kind]["f1-score"]
        )
        assert ours["per_class"][kind]["support"] == report[kind]["support"]
