"""Exact match and F1 on cases whose scores are known by hand."""

import json
import pathlib

import numpy as np
import pytest

from bert_tf.metrics import answers

# found, gold, exact match, F1
CASES = [
    ("the Cat", ["a cat"], 1, 1),
    ("cat.", ["(cat)"], 1, 1),
    ("CAT", ["dog", "cat"], 1, 1),
    ("black cat", ["cat"], 0, 2 / 3),
    ("the black cat", ["cat", "black cat sat"], 0, 0.8),
    ("cat cat", ["cat"], 0, 2 / 3),
    ("", [], 1, 1),
    ("", ["cat"], 0, 0),
    ("cat", [], 0, 0),
    ("the", [], 1, 1),
    ("dog", ["cat"], 0, 0),
    ("well-known", ["wellknown"], 1, 1),
    ("10,000", ["10000"], 1, 1),
    ("  an  old   theory ", ["old theory"], 1, 1),
    ("theory", ["the ory"], 0, 0),
    ("café", ["cafe"], 0, 0),
]


@pytest.mark.parametrize("found, gold, exact, f1", CASES)
def test_scores(found, gold, exact, f1):
    assert answers.exact_match(found, gold) == exact
    assert answers.f1(found, gold) == pytest.approx(f1)


def test_equal_the_official_script():
    """230 cases, with what evaluate-v2.0.py gave for them."""
    path = pathlib.Path(__file__).parent / "answer_cases.json"
    cases = json.loads(path.read_text(encoding="utf-8"))
    assert len(cases) == 230
    for found, gold, exact, f1 in cases:
        assert answers.exact_match(found, gold) == exact, (found, gold)
        assert answers.f1(found, gold) == f1, (found, gold)


def test_means():
    metrics = answers.answer_metrics(
        [case[0] for case in CASES], [case[1] for case in CASES]
    )
    assert metrics["eval_exact_match"] == np.mean([c[2] for c in CASES])
    assert metrics["eval_f1"] == pytest.approx(np.mean([c[3] for c in CASES]))
    assert metrics["eval_f1_no_answer"] == pytest.approx(2 / 3)


def test_threshold_of_the_largest_f1():
    margins = np.array([-3.0, -1.0, 0.5, 2.0])
    f1s = np.array([1.0, 0.8, 0.0, 0.0])
    none = np.array([False, False, True, True])
    assert answers.best_threshold(margins, f1s, none) == -0.25
    assert answers.best_threshold(margins, f1s, ~none) == -4.0
    assert answers.best_threshold(margins, f1s + 0.1, none & False) == 3.0
