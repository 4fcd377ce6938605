"""Exact match and F1 of answers, as in the official SQuAD scripts.

evaluate-v1.1.py and evaluate-v2.0.py of Rajpurkar et al. (1606.05250,
1806.03822). They agree on questions that have answers.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np

from bert_tf.metrics import bootstrap

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = set(string.punctuation)


def normalize(answer: str) -> str:
    """Returns an answer in lower case, without punctuation and articles."""
    answer = "".join(
        letter for letter in answer.lower() if letter not in _PUNCTUATION
    )
    return " ".join(_ARTICLES.sub(" ", answer).split())


def exact_match(answer: str, gold: Sequence[str]) -> float:
    """Returns 1 where an answer equals one of `gold`; none means no answer."""
    return max(float(normalize(answer) == normalize(one)) for one in _of(gold))


def f1(answer: str, gold: Sequence[str]) -> float:
    """Returns the largest F1 of words shared with one of `gold`."""
    return max(_f1(normalize(answer), normalize(one)) for one in _of(gold))


def answer_metrics(
    answers: Sequence[str],
    gold: Sequence[Sequence[str]],
) -> dict:
    """Returns the metrics of `metrics.json`, 0 to 1; finite or None.

    Args:
        answers: an answer for each question, "" for none.
        gold: the right ones; empty where there is none.
    """
    scores = _scores(answers, gold)
    has_answer = np.array([bool(right) for right in gold])
    values = {"exact_match": scores[:, 0].mean(), "f1": scores[:, 1].mean()}
    for name, rows in (("answerable", has_answer), ("no_answer", ~has_answer)):
        part = scores[rows]
        values[f"exact_match_{name}"] = part[:, 0].mean() if len(part) else None
        values[f"f1_{name}"] = part[:, 1].mean() if len(part) else None
    return {
        **{
            f"eval_{name}": None if value is None else float(value)
            for name, value in values.items()
        },
    }


def bootstrap_metrics(
    answers: Sequence[str], gold: Sequence[Sequence[str]]
) -> bootstrap.BootstrapMetrics:
    """Returns what measures samples of these questions, see above."""
    exact, overlap = _scores(answers, gold).T
    has_answer = np.array([bool(right) for right in gold])

    def measure(weights):
        return {
            "eval_exact_match": bootstrap.mean(weights, exact),
            "eval_f1": bootstrap.mean(weights, overlap),
            "eval_f1_answerable": bootstrap.mean(weights * has_answer, overlap),
            "eval_f1_no_answer": bootstrap.mean(weights * ~has_answer, overlap),
        }

    return measure


def best_threshold(margins: np.ndarray, f1s: np.ndarray, none: np.ndarray):
    """Returns up to which margin to answer for the largest mean F1.

    Args:
        margins: <float>[questions], how much more no answer scores.
        f1s: <float>[questions], of the answers.
        none: <bool>[questions], whether there is no answer.
    """
    order = np.argsort(margins, kind="stable")
    gains = np.concatenate([[0.0], np.cumsum((f1s - none)[order])])
    sorted_margins = margins[order]
    # Half-way to the next, so that rounding moves no question.
    limits = np.concatenate(
        [
            [sorted_margins[0] - 1.0],
            (sorted_margins[:-1] + sorted_margins[1:]) / 2,
            [sorted_margins[-1] + 1.0],
        ]
    )
    return float(limits[gains.argmax()])


def _scores(answers, gold) -> np.ndarray:
    """Returns exact match and F1 <float64>[questions, 2]."""
    return np.array(
        [
            (exact_match(one, right), f1(one, right))
            for one, right in zip(answers, gold, strict=True)
        ]
    )


def _of(gold: Sequence[str]) -> list[str]:
    """Returns answers that are more than articles; [""] where none is."""
    return [one for one in gold if normalize(one)] or [""]


def _f1(answer: str, gold: str) -> float:
    answer_words, gold_words = answer.split(), gold.split()
    if not answer_words or not gold_words:
        return float(answer_words == gold_words)
    same = sum((Counter(answer_words) & Counter(gold_words)).values())
    if not same:
        return 0.0
    precision, recall = same / len(answer_words), same / len(gold_words)
    return 2 * precision * recall / (precision + recall)
