"""Entity-level precision, recall and F1.

Strict IOB2, as `seqeval` counts it (mode="strict", scheme=IOB2) and CoNLL's
tasks do: a span counts if its type, its first and its last word are right. Our
own lines, since seqeval has had no release since 2020; a test compares.
"""

from collections.abc import Sequence

import numpy as np

from bert_tf.metrics import bootstrap

Span = tuple[str, int, int]


def spans_of(tags: Sequence[str]) -> list[Span]:
    """Returns type, first word and the word after the last of each entity.

    B-x starts one and I-x right after continues it; any other I- is none.
    """
    spans = []
    start, kind = None, None
    for position, tag in enumerate([*tags, "O"]):
        prefix, _, of = tag.partition("-")
        if start is not None and (prefix != "I" or of != kind):
            spans.append((kind, start, position))
            start = None
        if prefix == "B":
            start, kind = position, of
    return spans


def entity_metrics(
    gold: Sequence[Sequence[str]],
    predicted_tags: Sequence[Sequence[str]],
    *,
    loss: float,
) -> dict:
    """Returns the metrics of `metrics.json`; every number finite or None.

    Args:
        gold: tags of each word of each sentence.
        predicted_tags: those that were predicted.
        loss: of the words.
    """
    true, predictions = (
        {
            (row, *span)
            for row, tags in enumerate(sentences)
            for span in spans_of(tags)
        }
        for sentences in (gold, predicted_tags)
    )
    kinds = sorted({span[1] for span in true | predictions})
    per_class = {
        kind: _scores(
            *(
                {s for s in spans if s[1] == kind}
                for spans in (true, predictions)
            )
        )
        for kind in kinds
    }
    whole = _scores(true, predictions)
    are_right = [
        tag == other
        for row, others in zip(gold, predicted_tags, strict=True)
        for tag, other in zip(row, others, strict=True)
    ]
    values = {
        "loss": loss,
        "f1": whole["f1"],
        "precision": whole["precision"],
        "recall": whole["recall"],
        "f1_macro": sum(one["f1"] for one in per_class.values())
        / max(len(kinds), 1),
        "word_accuracy": np.mean(are_right),
    }
    return {
        **{f"eval_{name}": float(value) for name, value in values.items()},
        "labels": kinds,
        "per_class": per_class,
    }


def bootstrap_metrics(
    gold: Sequence[Sequence[str]], predicted_tags: Sequence[Sequence[str]]
) -> bootstrap.BootstrapMetrics:
    """Returns what measures samples of these sentences, see above."""
    sides = [
        [spans_of(tags) for tags in side] for side in (gold, predicted_tags)
    ]
    kinds = sorted({kind for side in sides for s in side for kind, *_ in s})
    number = {kind: i for i, kind in enumerate(kinds)}
    # Of each sentence and kind: correct, predicted, true.
    counts = np.zeros([3, len(gold), len(kinds)])
    words = np.zeros([2, len(gold)])
    for row, (true, predictions) in enumerate(zip(*sides, strict=True)):
        for part, spans in enumerate(
            (set(true) & set(predictions), predictions, true)
        ):
            for kind, *_ in spans:
                counts[part, row, number[kind]] += 1
        words[:, row] = (
            len(gold[row]),
            sum(
                one == other
                for one, other in zip(
                    gold[row], predicted_tags[row], strict=True
                )
            ),
        )

    def measure(weights):
        by_kind = [weights @ part for part in counts]
        totals = [part.sum(axis=1) for part in by_kind]
        precision, recall, f1 = bootstrap.count_scores(*totals)
        is_there = (by_kind[1] + by_kind[2] > 0).sum(axis=1)
        of_kinds = bootstrap.count_scores(*by_kind)[2].sum(axis=1)
        return {
            "eval_f1": f1,
            "eval_precision": precision,
            "eval_recall": recall,
            "eval_f1_macro": bootstrap.ratio(of_kinds, is_there),
            "eval_word_accuracy": bootstrap.ratio(
                weights @ words[1], weights @ words[0]
            ),
        }

    return measure


def _scores(true: set, predictions: set) -> dict:
    right = len(true & predictions)
    return {
        "precision": right / len(predictions) if predictions else 0.0,
        "recall": right / len(true) if true else 0.0,
        "f1": 2 * right / (len(true) + len(predictions))
        if true or predictions
        else 0.0,
        "support": len(true),
    }
