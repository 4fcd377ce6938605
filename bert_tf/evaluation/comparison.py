"""Compares two models on the same texts, with significance."""

import csv
import os

import numpy as np
import pandas as pd

from bert_tf import labels as labels_lib
from bert_tf import run_dir
from bert_tf.data import examples as examples_lib
from bert_tf.errors import InputError, list_some, shorten
from bert_tf.evaluation import intervals
from bert_tf.evaluation.artifacts import example_ids
from bert_tf.evaluation.evaluate import Evaluation
from bert_tf.evaluation.report.interpretation import SIGNIFICANT
from bert_tf.metrics.classification import headline_metric
from bert_tf.tasks.answers import build_answer_rows

_SHOWN = 10
_METRICS = (
    "eval_accuracy", "eval_f1", "eval_f1_macro", "eval_matthews_correlation",
    "eval_roc_auc", "eval_loss",
)  # fmt: skip


def compare(first: Evaluation, second: Evaluation) -> dict:
    """Compares two models on the same labelled rows.

    Args:
        second: another model's, of the same files.

    Returns:
        What comparison.json holds: of each metric both values, their
        difference (first less second) and its paired bootstrap interval; of
        classifications also McNemar's test on which rows are right.

    Raises:
        InputError: the models do not have the same task or classes.
    """
    tasks = [evaluation.task for evaluation in (first, second)]
    if tasks[0].name != tasks[1].name:
        raise InputError(
            f"{first.model_path} is of --task={tasks[0].name} and "
            f"{second.model_path} of --task={tasks[1].name}; only models of "
            "one task are compared"
        )
    if not tasks[0].is_multiclass:
        return _compare_task(first, second)
    names = first.metrics["labels"]
    probabilities = in_order(second, names, first)
    labels = np.array(labels_lib.class_ids(first.examples["label"], names))
    right = [
        values.argmax(axis=1) == labels
        for values in (first.predictions, probabilities)
    ]
    samples = [
        # The same seed, hence the same rows in each sample of both.
        intervals.bootstrap_metrics(
            labels, values, names, positive=first.task.positive_class
        )
        for values in (first.predictions, probabilities)
    ]
    return {
        **_compare_samples(first, second, _METRICS, samples),
        "mcnemar": intervals.mcnemar(*right),
        "headline_metric": f"eval_{headline_metric(names)}",
    }


def _compare_task(first: Evaluation, second: Evaluation) -> dict:
    """Does what `compare` does for tasks that are no classification."""
    task = first.task
    _check_classes(second, second.task.class_names, first, task.class_names)
    samples = [
        intervals.resampled_task(
            one.task, one.examples, one.encoded, one.predictions
        )
        for one in (first, second)
    ]
    return {
        **_compare_samples(first, second, samples[0], samples),
        "headline_metric": f"eval_{task.selection_metric}",
    }


def _compare_samples(first, second, names, samples) -> dict:
    return {
        "schema_version": 1,
        "models": [first.model_path, second.model_path],
        "eval_samples": len(first.examples),
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
            for name in names
        },
    }


def write(folder: str, comparison: dict, table: pd.DataFrame) -> None:
    """Writes comparison.json and disagreements.csv to an existing folder."""
    run_dir.write_text(
        os.path.join(folder, "disagreements.csv"),
        # As errors.csv.
        table.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC),
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
    lines.append(conclusion(comparison))
    if len(table):
        lines.append(_describe_table(table))
    return "\n".join(lines)


def _describe_table(table: pd.DataFrame) -> str:
    if "right" not in table:
        lines = [f"They answer {len(table):,} texts differently:"]
        for row in table.head(_SHOWN).to_dict("records"):
            sides = [
                " ".join(
                    shorten(value)
                    for name, value in row.items()
                    if name.endswith(side)
                )
                for side in ("_first", "_second")
            ]
            lines.append(f"  {' / '.join(sides)}  {shorten(row['text'])}")
        return "\n".join(lines)
    lines = [
        f"They disagree on {len(table):,} texts; right is (1) the first, "
        "(2) the second, (-) neither:"
    ]
    marks = {"first": "1", "second": "2", "neither": "-"}
    for row in table.head(_SHOWN).itertuples():
        lines.append(
            f"  ({marks[row.right]}) {row.label_first} "
            f"{row.score_first:.3f} / {row.label_second} "
            f"{row.score_second:.3f}  {shorten(row.text)}"
        )
    return "\n".join(lines)


def conclusion(comparison: dict) -> str:
    """Returns which model is better, in words."""
    headline = comparison["metrics"][comparison["headline_metric"]]
    name = comparison["headline_metric"].removeprefix("eval_")
    low, high = headline["interval"] or (0.0, 0.0)
    by_metric = low > 0 or high < 0
    statements = [
        f"the interval of the difference in {name} "
        f"{'leaves out' if by_metric else 'includes'} 0"
    ]
    better, by_test = int(high < 0), False
    if "mcnemar" in comparison:
        test = comparison["mcnemar"]
        by_test = test["p_value"] < SIGNIFICANT
        counts = (
            f"only the first is right on {test['only_first']:,} texts, only "
            f"the second on {test['only_second']:,} (McNemar's test: p = "
            f"{test['p_value']:.3g})"
        )
        if by_test:
            better = int(test["only_first"] < test["only_second"])
        statements = [counts, *statements] if by_test or by_metric else [counts]
    if not by_test and not by_metric:
        return (
            f"No difference beyond chance: {'; '.join(statements)}. Take the "
            "smaller or faster one, or compare on more texts."
        )
    return (
        f"The {('first', 'second')[better]} is better, by more than chance: "
        f"{'; '.join(statements)}."
    )


def in_order(
    evaluation: Evaluation, names: list[str], other: Evaluation
) -> np.ndarray:
    """Returns the probabilities in the order of `names`.

    Raises:
        InputError: the models do not have the same classes.
    """
    own = evaluation.metrics["labels"]
    _check_classes(evaluation, own, other, names)
    return evaluation.predictions[:, [own.index(name) for name in names]]


def _check_classes(evaluation, own, other, names) -> None:
    """Raises InputError where two models do not have the same classes."""
    if set(own) != set(names):
        different = sorted(set(own) ^ set(names))
        raise InputError(
            f"{other.model_path} and {evaluation.model_path} do not have "
            f"the same classes: {list_some(different)} are of one of them only"
        )


def _difference(first: dict, second: dict, name: str) -> float | None:
    if first[name] is None or second[name] is None:
        return None
    return first[name] - second[name]


def disagreements(first: Evaluation, second: Evaluation) -> pd.DataFrame:
    """Returns the rows that are answered differently.

    Those that just one of the models gets right come first, and among them
    those on which the two are surest of their answers. Of tasks that are no
    classification, those come first whose answers are furthest apart.
    """
    if not first.task.is_multiclass:
        return _find_of_task(first, second)
    names = first.metrics["labels"]
    both = [first.predictions, in_order(second, names, first)]
    best = [probabilities.argmax(axis=1) for probabilities in both]
    rows = np.flatnonzero(best[0] != best[1])
    answers = [[names[i] for i in one[rows]] for one in best]
    true_labels = first.examples["label"].to_numpy()[rows]
    table = pd.DataFrame(
        {
            **_of_examples(first.examples, rows),
            "label_first": answers[0],
            "score_first": both[0][rows, best[0][rows]],
            "label_second": answers[1],
            "score_second": both[1][rows, best[1][rows]],
            "right": np.where(
                answers[0] == true_labels,
                "first",
                np.where(answers[1] == true_labels, "second", "neither"),
            ),
        }
    )
    order = np.lexsort(
        (-(table["score_first"] + table["score_second"]),
         table["right"] == "neither")
    )  # fmt: skip
    return table.iloc[order].reset_index(drop=True)


def _find_of_task(first: Evaluation, second: Evaluation) -> pd.DataFrame:
    task = first.task
    segments = examples_lib.segments(first.examples)
    answer_rows = [
        build_answer_rows(one.task, segments, one.encoded, one.predictions)
        for one in (first, second)
    ]
    columns = (*task.answer_columns, *task.detail_columns)
    apart = np.array(
        [
            task.max_abs_difference(
                dict(zip(columns, sum(one, []), strict=True)), other
            )
            if one[0] != other[0]
            else -1.0
            for one, other in zip(*answer_rows, strict=True)
        ]
    )
    rows = np.argsort(-apart, kind="stable")[: int((apart >= 0).sum())]
    return pd.DataFrame(
        {
            **_of_examples(first.examples, rows),
            **{
                f"{name}_{side}": [answers[row][0][i] for row in rows]
                for side, answers in zip(
                    ("first", "second"), answer_rows, strict=True
                )
                for i, name in enumerate(task.answer_columns)
            },
        }
    )


def _of_examples(examples: pd.DataFrame, rows: np.ndarray) -> dict:
    """Returns the columns that say which texts they are."""
    picked = examples.iloc[rows]
    columns = {
        "path": picked["path"].to_numpy(),
        "line": picked["line"].to_numpy(),
        "id": np.array(example_ids(examples), object)[rows],
        "text": picked["text"].to_numpy(),
        "text_pair": picked["text_pair"].to_numpy(),
        "true_label": picked["label"].to_numpy(),
    }
    if examples["text_pair"].isna().all():
        del columns["text_pair"]
    return columns
