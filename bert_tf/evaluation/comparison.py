"""Which of two models is better on the same texts, and whether by chance."""

import os

import numpy as np
import pandas as pd

from bert_tf import labels as labels_lib
from bert_tf import run_dir
from bert_tf.errors import InputError, list_some
from bert_tf.evaluation import intervals, significance
from bert_tf.evaluation.evaluate import Evaluation
from bert_tf.evaluation.report import example_ids, shorten
from bert_tf.evaluation.verdict import SIGNIFICANT
from bert_tf.metrics.classification import headline_metric

_SHOWN = 10
_METRICS = (
    "eval_accuracy", "eval_f1", "eval_f1_macro", "eval_matthews_correlation",
    "eval_roc_auc", "eval_loss",
)  # fmt: skip


def compare(first: Evaluation, second: Evaluation) -> dict:
    """Compares two models on the same labelled rows.

    Args:
        first: an evaluation.
        second: another model's, of the same files.

    Returns:
        What comparison.json holds: McNemar's test on which rows are right,
        and of each metric both values, their difference (first less second)
        and its paired bootstrap interval.

    Raises:
        InputError: the models do not have the same classes.
    """
    for evaluation in (first, second):
        if "confusion_matrix" not in evaluation.metrics:
            raise InputError(
                f"{evaluation.subject.path} does not answer one class of "
                "several; only such models are compared"
            )
    names = first.metrics["labels"]
    probabilities = _in_order(second, names, first)
    labels = np.array(labels_lib.class_ids(first.examples["label"], names))
    right = [
        found.argmax(axis=1) == labels
        for found in (first.probabilities, probabilities)
    ]
    samples = [
        # The same seed, hence the same rows in each sample of both.
        intervals.resampled_metrics(labels, found, names, seed=0)
        for found in (first.probabilities, probabilities)
    ]
    return {
        "schema_version": 1,
        "models": [first.subject.path, second.subject.path],
        "eval_samples": len(labels),
        "mcnemar": significance.mcnemar(*right),
        "confidence_level": intervals.LEVEL,
        "bootstrap_samples": intervals.SAMPLES,
        "metrics": {
            name: {
                "values": [first.metrics[name], second.metrics[name]],
                "difference": _difference(first.metrics, second.metrics, name),
                "interval": intervals.interval(
                    samples[0][name] - samples[1][name]
                ),
            }
            for name in _METRICS
        },
        "headline_metric": f"eval_{headline_metric(names)}",
    }


def disagreements(first: Evaluation, second: Evaluation) -> pd.DataFrame:
    """Returns the rows that are answered differently.

    Those that just one of the models gets right come first, and among them
    those on which the two are surest of their answers.
    """
    names = first.metrics["labels"]
    found = [first.probabilities, _in_order(second, names, first)]
    best = [probabilities.argmax(axis=1) for probabilities in found]
    rows = np.flatnonzero(best[0] != best[1])
    examples = first.examples.iloc[rows]
    answers = [[names[i] for i in one[rows]] for one in best]
    truth = examples["label"].to_numpy()
    table = pd.DataFrame(
        {
            "path": examples["path"].to_numpy(),
            "line": examples["line"].to_numpy(),
            "id": np.array(example_ids(first.examples), object)[rows],
            "text": examples["text"].to_numpy(),
            "text_pair": examples["text_pair"].to_numpy(),
            "true_label": truth,
            "label_first": answers[0],
            "score_first": found[0][rows, best[0][rows]],
            "label_second": answers[1],
            "score_second": found[1][rows, best[1][rows]],
            "right": np.where(
                answers[0] == truth,
                "first",
                np.where(answers[1] == truth, "second", "neither"),
            ),
        }
    )
    if examples["text_pair"].isna().all():
        table = table.drop(columns="text_pair")
    order = np.lexsort(
        (-(table["score_first"] + table["score_second"]),
         table["right"] == "neither")
    )  # fmt: skip
    return table.iloc[order].reset_index(drop=True)


def write(folder: str, comparison: dict, table: pd.DataFrame) -> None:
    """Writes comparison.json and disagreements.csv to an existing folder."""
    run_dir.write_text(
        os.path.join(folder, "disagreements.csv"), table.to_csv(index=False)
    )
    run_dir.write_json(os.path.join(folder, "comparison.json"), comparison)


def describe(comparison: dict, table: pd.DataFrame) -> str:
    """Returns the comparison as lines for a terminal."""
    first, second = comparison["models"]
    lines = [
        f"first:  {first}",
        f"second: {second}",
        f"{comparison['eval_samples']:,} examples; in brackets the 95% "
        "interval of the difference",
        f"  {'metric':<24}{'first':>10}{'second':>10}{'difference':>12}",
    ]
    for name, one in comparison["metrics"].items():
        if one["difference"] is None:
            continue
        low, high = one["interval"]
        lines.append(
            f"  {name.removeprefix('eval_'):<24}{one['values'][0]:>10.4f}"
            f"{one['values'][1]:>10.4f}{one['difference']:>+12.4f}"
            f"  ({low:+.4f} to {high:+.4f})"
        )
    lines.append(verdict(comparison))
    if len(table):
        lines.append(
            f"They disagree on {len(table):,} texts; right is (1) the first, "
            "(2) the second, (-) neither:"
        )
        marks = {"first": "1", "second": "2", "neither": "-"}
        for row in table.head(_SHOWN).itertuples():
            lines.append(
                f"  ({marks[row.right]}) {row.label_first} "
                f"{row.score_first:.3f} / {row.label_second} "
                f"{row.score_second:.3f}  {shorten(row.text)}"
            )
    return "\n".join(lines)


def verdict(comparison: dict) -> str:
    """Returns which model is better, in words."""
    test = comparison["mcnemar"]
    counts = (
        f"only the first is right on {test['only_first']:,} texts, only the "
        f"second on {test['only_second']:,}"
    )
    headline = comparison["metrics"][comparison["headline_metric"]]
    low, high = headline["interval"] or (0.0, 0.0)
    by_test = test["p_value"] < SIGNIFICANT
    by_metric = low > 0 or high < 0
    p_value = f"McNemar's test: p = {test['p_value']:.3g}"
    if not by_test and not by_metric:
        return (
            f"No difference beyond chance: {counts} ({p_value}). Take the "
            "smaller or faster one, or compare on more texts."
        )
    name = comparison["headline_metric"].removeprefix("eval_")
    if by_test:
        better = int(test["only_first"] < test["only_second"])
    else:
        better = int(high < 0)
    said = [f"{counts} ({p_value})"]
    said.append(
        f"the interval of the difference in {name} "
        f"{'leaves out' if by_metric else 'includes'} 0"
    )
    return (
        f"The {('first', 'second')[better]} is better, by more than chance: "
        f"{'; '.join(said)}."
    )


def _in_order(
    evaluation: Evaluation, names: list[str], other: Evaluation
) -> np.ndarray:
    """Returns the probabilities in the order of `names`."""
    own = evaluation.metrics["labels"]
    if set(own) != set(names):
        different = sorted(set(own) ^ set(names))
        raise InputError(
            f"{other.subject.path} and {evaluation.subject.path} do not have "
            f"the same classes: {list_some(different)} are of one of them only"
        )
    return evaluation.probabilities[:, [own.index(name) for name in names]]


def _difference(first: dict, second: dict, name: str) -> float | None:
    if first[name] is None or second[name] is None:
        return None
    return first[name] - second[name]
