"""The texts that two models answer differently."""

import numpy as np
import pandas as pd

from bert_tf.data import examples as examples_lib
from bert_tf.evaluation.comparison import in_order
from bert_tf.evaluation.evaluate import Evaluation
from bert_tf.evaluation.report import example_ids
from bert_tf.tasks.answers import answer_cells


def find(first: Evaluation, second: Evaluation) -> pd.DataFrame:
    """Returns the rows that are answered differently.

    Those that just one of the models gets right come first, and among them
    those on which the two are surest of their answers. Of tasks that are no
    classification, those come first whose answers are furthest apart.
    """
    if not first.model.task.has_single_label:
        return _find_of_task(first, second)
    names = first.metrics["labels"]
    found = [first.probabilities, in_order(second, names, first)]
    best = [probabilities.argmax(axis=1) for probabilities in found]
    rows = np.flatnonzero(best[0] != best[1])
    answers = [[names[i] for i in one[rows]] for one in best]
    truth = first.examples["label"].to_numpy()[rows]
    table = pd.DataFrame(
        {
            **_of_examples(first.examples, rows),
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
    order = np.lexsort(
        (-(table["score_first"] + table["score_second"]),
         table["right"] == "neither")
    )  # fmt: skip
    return table.iloc[order].reset_index(drop=True)


def _find_of_task(first: Evaluation, second: Evaluation) -> pd.DataFrame:
    task = first.model.task
    segments = examples_lib.segments(first.examples)
    cells = [
        answer_cells(one.model.task, segments, one.encoded, one.probabilities)
        for one in (first, second)
    ]
    columns = (*task.answer_columns, *task.detail_columns)
    apart = np.array(
        [
            task.difference(
                dict(zip(columns, sum(one, []), strict=True)), other
            )
            if one[0] != other[0]
            else -1.0
            for one, other in zip(*cells, strict=True)
        ]
    )
    rows = np.argsort(-apart, kind="stable")[: int((apart >= 0).sum())]
    return pd.DataFrame(
        {
            **_of_examples(first.examples, rows),
            **{
                f"{name}_{side}": [answers[row][0][i] for row in rows]
                for side, answers in zip(
                    ("first", "second"), cells, strict=True
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
