"""Explains the metrics in sentences, the most important first."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from bert_tf.metrics.classification import headline_metric

# What is taken for chance in one case of twenty.
SIGNIFICANT = 0.05
# Above it, scores mislead whoever acts on them.
_LARGE_CALIBRATION_ERROR = 0.05
_LARGE_TRUNCATION = 0.05
_WEAK_F1 = 0.5


@dataclasses.dataclass(frozen=True)
class Sentence:
    """A finding: `kind` is good, bad or plain."""

    kind: str
    text: str


def interpret(metrics: dict, *, split: str) -> list[Sentence]:
    """Returns what to think of an evaluation, in words.

    Args:
        split: what was evaluated, e.g. "the test split".
    """
    sentences = [_against_majority(metrics, split)]
    if "tfidf_logistic_regression" in metrics["baselines"]:
        sentences.append(_against_words(metrics))
    sentences += _about_classes(metrics)
    sentences += _about_scores(metrics)
    sentences += _about_data(metrics)
    return sentences


def percent(value: float) -> str:
    """Returns 0.8173 as 81.7%."""
    return f"{value:.1%}"


def describe_interval(metrics: dict, key: str) -> str:
    """Returns "0.8173 (0.798 to 0.836)", or what there is of it."""
    value = metrics[key]
    if value is None:
        return "undefined"
    bounds = metrics["confidence_intervals"].get(key)
    if bounds is None:
        return f"{value:.4f}"
    return f"{value:.4f} ({bounds[0]:.3f} to {bounds[1]:.3f})"


def _against_majority(metrics: dict, split: str) -> Sentence:
    accuracy = metrics["eval_accuracy"]
    low, high = metrics["confidence_intervals"]["eval_accuracy"]
    majority = metrics["baselines"]["majority"]
    text = (
        f"The model is right on {percent(accuracy)} of {split}'s "
        f"{metrics['eval_samples']:,} texts (95% interval {percent(low)} to "
        f"{percent(high)}); always answering {majority['class']} would be "
        f"right on {percent(majority['accuracy'])}."
    )
    if low > majority["accuracy"]:
        return Sentence("good", text)
    if accuracy > majority["accuracy"]:
        text += " The difference may be chance: more texts would tell."
    else:
        text += " It has not learned to tell the classes apart."
    return Sentence("bad", text)


def _against_words(metrics: dict) -> Sentence:
    baseline = metrics["baselines"]["tfidf_logistic_regression"]
    key = headline_metric(metrics["labels"])
    shown = "F1" if key == "f1" else "accuracy"
    own, other = metrics[f"eval_{key}"], baseline[key]
    difference = metrics["eval_accuracy"] - baseline["accuracy"]
    text = (
        "TF-IDF and logistic regression, trained in "
        f"{metrics['baseline_train_runtime']:.1f} s, reaches an accuracy of "
        f"{percent(baseline['accuracy'])}"
    )
    if key != "accuracy":
        text += f" and an F1 of {other:.3f} (the model's: {own:.3f})"
    if baseline["p_value"] >= SIGNIFICANT:
        return Sentence(
            "bad",
            f"{text}; the difference in accuracy is no more than chance "
            f"(McNemar's test: p = {baseline['p_value']:.2f}). More or "
            "cleaner data, a larger --preset or more epochs may show what "
            "BERT is worth here; else the small model will do.",
        )
    ahead = "ahead" if difference > 0 else "behind"
    return Sentence(
        "good" if difference > 0 else "bad",
        f"{text}: the model is {ahead} by "
        f"{100 * abs(difference):.1f} points of accuracy, more than chance "
        f"(McNemar's test: {_p_value(baseline['p_value'])})"
        + (
            "."
            if difference > 0
            else f". Something is wrong with the training; look at {shown} "
            "over the epochs and at the warnings."
        ),
    )


def _p_value(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def _about_classes(metrics: dict) -> list[Sentence]:
    sentences = []
    weak = [
        (name, values)
        for name, values in metrics["per_class"].items()
        if values["support"] and values["f1"] < _WEAK_F1
    ]
    if weak:
        weak.sort(key=lambda item: item[1]["f1"])
        shown = ", ".join(
            f"{name} (F1 {values['f1']:.2f}, {values['support']:,} texts)"
            for name, values in weak[:5]
        )
        more = f" and {len(weak) - 5} others" if len(weak) > 5 else ""
        sentences.append(Sentence("bad", f"Weak classes: {shown}{more}."))
    pairs = confused_pairs(
        metrics["confusion_matrix"], metrics["labels"], limit=1
    )
    if pairs and pairs[0]["count"] > 1 and len(metrics["labels"]) > 2:
        pair = pairs[0]
        sentences.append(
            Sentence(
                "plain",
                f"The most frequent mistake: {pair['true']} taken for "
                f"{pair['predicted']}, {pair['count']:,} times "
                f"({percent(pair['share'])} of {pair['true']}).",
            )
        )
    return sentences


def confused_pairs(
    matrix: Sequence[Sequence[int]], class_names: Sequence[str], limit: int
) -> list[dict]:
    """Returns the most frequent mistakes: true, predicted, count, share."""
    counts = np.array(matrix)
    totals = np.maximum(counts.sum(axis=1), 1)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:limit]
    return [
        {
            "true": class_names[row],
            "predicted": class_names[column],
            "count": int(counts[row, column]),
            "share": float(counts[row, column] / totals[row]),
        }
        for row, column in zip(*np.unravel_index(order, counts.shape),
                               strict=True)
        if counts[row, column]
    ]  # fmt: skip


def _about_scores(metrics: dict) -> list[Sentence]:
    error = metrics["eval_expected_calibration_error"]
    text = (
        f"Scores and the share of right answers are {error:.3f} apart on "
        "average (expected calibration error)"
    )
    if error <= _LARGE_CALIBRATION_ERROR:
        return [
            Sentence("good", f"{text}: a score may be read as a probability.")
        ]
    remedy = (
        "the scores were calibrated on the validation split, which may differ "
        "from these texts."
        if metrics.get("calibration")
        else "--calibrate fixes that in the next training."
    )
    return [
        Sentence("bad", f"{text}: do not read them as probabilities; {remedy}")
    ]


def _about_data(metrics: dict) -> list[Sentence]:
    truncation = metrics.get("truncation")
    if not truncation or truncation["truncated_share"] <= _LARGE_TRUNCATION:
        return []
    return [
        Sentence(
            "bad",
            f"{percent(truncation['truncated_share'])} of the texts are longer "
            f"than {truncation['max_seq_length']} tokens, and the model does "
            "not see their ends; see --max_seq_length.",
        )
    ]
