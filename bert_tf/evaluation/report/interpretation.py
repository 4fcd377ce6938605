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
# Of accuracy, for twice the labels.
_LARGE_GAIN = 0.01
# Of fewer texts every figure is rough.
FEW_TEXTS = 100


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
    sentences += _against_simpler_models(metrics)
    sentences += _about_more_labels(metrics)
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


_SIMPLER = {
    "tfidf_logistic_regression": (
        "A model of word counts (TF-IDF and logistic regression, trained in "
        "{seconds:.1f} s)"
    ),
    "linear_probe": (
        "A linear probe (logistic regression on the vectors of the checkpoint "
        "as it is, --freeze_backbone)"
    ),
}


def _against_simpler_models(metrics: dict) -> list[Sentence]:
    """Says which of the simpler models do as well, and what helps then."""
    sentences, is_matched = [], False
    for key, title in _SIMPLER.items():
        if key not in metrics["baselines"]:
            continue
        other = metrics["baselines"][key]
        difference = metrics["eval_accuracy"] - other["accuracy"]
        title = title.format(seconds=metrics.get("baseline_train_runtime", 0.0))
        text = f"{title} reaches an accuracy of {percent(other['accuracy'])}"
        if headline_metric(metrics["labels"]) == "f1":
            text += (
                f" and an F1 of {other['f1']:.3f} (the model's: "
                f"{metrics['eval_f1']:.3f})"
            )
        points = f"{100 * abs(difference):.1f} points"
        if other["p_value"] >= SIGNIFICANT:
            is_matched = True
            kind = "plain"
            text += (
                f": the model's {percent(metrics['eval_accuracy'])} differs "
                "from it by no more than chance (McNemar's test: p = "
                f"{other['p_value']:.2f})."
            )
        elif difference > 0:
            kind = "good"
            text += (
                f": the model is ahead by {points}, more than chance "
                f"(McNemar's test: {_p_value(other['p_value'])})."
            )
        else:
            is_matched = True
            kind = "bad"
            text += (
                f": the model is behind by {points}, more than chance "
                f"(McNemar's test: {_p_value(other['p_value'])}). Take the "
                "simpler one, or look at the epochs and the warnings."
            )
        sentences.append(Sentence(kind, text))
    if is_matched:
        text = (
            "A simpler model does as well here, as far as "
            f"{metrics['eval_samples']:,} texts can tell."
        )
        if not metrics.get("learning_curve"):
            text += f" More labels help most, then {_OTHER_HELP}."
        sentences.append(Sentence("plain", text))
    return sentences


_OTHER_HELP = (
    "cleaner labels (those that are likely wrong are listed in this report), "
    "or a larger --preset"
)


def _about_more_labels(metrics: dict) -> list[Sentence]:
    """Says from the last doubling of the rows what another one would bring."""
    curve = metrics.get("learning_curve", [])
    if len(curve) < 2:  # It takes a half of the rows, and all.
        return []
    shown = ", ".join(
        f"{percent(point['accuracy'])} of {point['train_samples']:,}"
        for point in curve
    )
    gain = curve[-1]["accuracy"] - curve[-2]["accuracy"]
    text = (
        "How often a linear probe is right by how many labels it has, on "
        f"training texts that it was not given: {shown}. "
    )
    if gain >= _LARGE_GAIN:
        text += (
            f"The last step brought {100 * gain:.1f} points: more labels help "
            "most."
        )
    else:
        text += (
            f"Twice as many would bring little; what may help: {_OTHER_HELP}."
        )
    return [Sentence("plain", text)]


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
    chance = metrics.get("expected_calibration_error_by_chance", 0.0)
    if error <= _LARGE_CALIBRATION_ERROR:
        text += ": a score may be read as a probability."
        return [Sentence("good", text)]
    if error <= chance:
        text += (
            f", which chance makes of {metrics['eval_samples']:,} texts even "
            "where scores are probabilities."
        )
        return [Sentence("plain", text)]
    gap = metrics.get("mean_score", metrics["eval_accuracy"])
    gap -= metrics["eval_accuracy"]
    way = "too high" if gap > 0 else "too low"
    remedy = (
        "they were calibrated on the validation split, which may differ from "
        "these texts."
        if metrics.get("calibration")
        else "a larger validation split lets --calibrate mend that."
    )
    return [
        Sentence(
            "bad",
            f"{text}: scores are {way} by {100 * abs(gap):.0f} points on "
            f"average, no probabilities; {remedy}",
        )
    ]


def _about_data(metrics: dict) -> list[Sentence]:
    sentences = []
    samples = metrics["eval_samples"]
    if samples < FEW_TEXTS:
        sentences.append(
            Sentence(
                "plain",
                f"All figures are rough: one of {samples} texts is "
                f"{100 / samples:.1f} points of accuracy. More labelled texts "
                "in a --test_file or --validation_file make them sharper.",
            )
        )
    if "refit_samples" in metrics:
        sentences.append(
            Sentence(
                "plain",
                f"The model that is saved was trained on all "
                f"{metrics['refit_samples']} labelled rows, after the figures "
                "of the validation split were taken without its rows.",
            )
        )
    truncation = metrics.get("truncation")
    if truncation and truncation["truncated_share"] > _LARGE_TRUNCATION:
        sentences.append(
            Sentence(
                "bad",
                f"{percent(truncation['truncated_share'])} of the texts are "
                f"longer than {truncation['max_seq_length']} tokens, and the "
                "model does not see their ends; see --max_seq_length.",
            )
        )
    return sentences
