"""Selects mistakes, ambiguous texts and contradictory labels."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from bert_tf.data.examples import text_keys
from bert_tf.data.input_pipeline import EncodedTexts
from bert_tf.evaluation import attribution
from bert_tf.evaluation.attribution import Explanation
from bert_tf.evaluation.evaluate import Evaluation
from bert_tf.tasks.answers import LoadedModel

_MOST_MISTAKES = 200
_MOST_CONTRADICTIONS = 50
# Letters of a text that are shown.
_MOST_LETTERS = 600
_SAMPLES = 12
# Explaining texts may take so much of the time that predicting them took.
_EXPLAINED_SHARE = 0.04
_FEWEST_PASSES = 64

# Labelled rows and their tokens.
Splits = Mapping[str, tuple[pd.DataFrame, EncodedTexts]]


@dataclasses.dataclass(frozen=True)
class Word:
    """A word as the model sees it, and how much it speaks for the answer."""

    text: str
    weight: float


# Between two texts.
_BAR = Word("|", 0.0)


@dataclasses.dataclass(frozen=True)
class Finding:
    """A text to look at.

    Attributes:
        place: its split or file, and line.
        text: as it is in the file, or its beginning.
        true_label: its label, or all labels that its copies have.
        label: the answer; "" where the model was not asked.
        score: of the answer, 0 to 1.
        words: marked words; empty where they were not measured.
    """

    place: str
    text: str
    true_label: str
    label: str = ""
    score: float | None = None
    words: tuple[Word, ...] = ()


@dataclasses.dataclass(frozen=True)
class Findings:
    """What to look at first, each list in its order.

    Attributes:
        label_issues: see `label_issues.find`; None where they were not sought.
    """

    mistakes: list[Finding]
    num_mistakes: int
    contradictions: list[Finding]
    num_contradictions: int
    samples: list[Finding]
    label_issues: pd.DataFrame | None = None


def of_model(model: LoadedModel, evaluation: Evaluation) -> Findings | None:
    """Does what `gather` does, in a small part of the time of predicting."""
    passes = int(_EXPLAINED_SHARE * len(evaluation.examples))
    return gather(
        evaluation,
        {"evaluated": (evaluation.examples, evaluation.encoded)},
        predict=model.predict_encoded,
        tokens=model.tokens,
        most_passes=max(_FEWEST_PASSES, passes),
    )


def gather(
    evaluation: Evaluation,
    splits: Splits,
    *,
    predict: Callable[[EncodedTexts], np.ndarray],
    tokens: Sequence[str],
    most_passes: int,
) -> Findings | None:
    """Finds the texts and explains as many as `most_passes` allows.

    Args:
        evaluation: has the mistakes.
        splits: contradictions are sought in all of them.
        predict: from tokens to probabilities.
        tokens: the vocabulary.
        most_passes: texts that `predict` may be asked in all.

    Returns:
        None where texts have not one class each.
    """
    if not evaluation.task.is_multiclass:
        return None
    examples, class_names = evaluation.examples, evaluation.class_names
    probabilities, labels = evaluation.predictions, evaluation.labels
    best = probabilities.argmax(axis=1)
    scores = probabilities[np.arange(len(best)), best]
    wrong = np.flatnonzero(best != labels)
    wrong = wrong[np.argsort(-scores[wrong], kind="stable")]

    groups = _contradictions(splits)
    listed = groups[:_MOST_CONTRADICTIONS]
    shown = wrong[:_MOST_MISTAKES]
    of_mistakes, of_groups = _explain(
        [_whole(evaluation.encoded, row) for row in shown],
        [_whole(splits[name][1], row) for name, row, _ in listed],
        predict=predict,
        tokens=tokens,
        most_passes=most_passes,
    )

    def finding(row, explanation=None):
        return Finding(
            place=_place(examples, row),
            text=_text(examples, row),
            true_label=examples["label"].iloc[row],
            label=class_names[best[row]],
            score=float(scores[row]),
            words=_words(explanation),
        )

    picked = np.linspace(0, len(best) - 1, min(_SAMPLES, len(best)))
    return Findings(
        mistakes=[
            finding(row, explanation)
            for row, explanation in zip(shown, of_mistakes, strict=True)
        ],
        num_mistakes=len(wrong),
        contradictions=[
            _contradiction(
                splits[name][0], row, labels, explanation, class_names
            )
            for (name, row, labels), explanation in zip(
                listed, of_groups, strict=True
            )
        ],
        num_contradictions=len(groups),
        samples=[finding(row) for row in picked.astype(int)],
    )


def _contradictions(splits: Splits) -> list[tuple[str, int, str]]:
    """Returns split, row and labels of equal texts with several labels.

    Case and white space aside; those with the most copies first.
    """
    frames = [
        pd.DataFrame(
            {
                "key": text_keys(split).to_numpy(),
                "label": split["label"].to_numpy(),
                "part": name,
                "row": np.arange(len(split)),
            }
        )
        for name, (split, _) in splits.items()
    ]
    rows = pd.concat(frames, ignore_index=True)
    counts = rows.groupby("key", sort=False)["label"].transform("nunique")
    groups = []
    for _, group in rows[counts > 1].groupby("key", sort=False):
        labels = group["label"].value_counts(sort=True)
        described = ", ".join(
            f"{label} ({count} times)" if count > 1 else str(label)
            for label, count in labels.items()
        )
        first = group.iloc[0]
        groups.append((len(group), first["part"], first["row"], described))
    groups.sort(key=lambda group: -group[0])
    return [(split, int(row), labels) for _, split, row, labels in groups]


def _contradiction(examples, row, labels, explanation, class_names) -> Finding:
    answer = {}
    if explanation is not None:
        best = int(explanation.probabilities.argmax())
        answer = {
            "label": class_names[best],
            "score": float(explanation.probabilities[best]),
            "words": _words(explanation),
        }
    return Finding(
        place=_place(examples, row),
        text=_text(examples, row),
        true_label=labels,
        **answer,
    )


def _explain(mistakes, contradictions, **kwargs) -> tuple[list, list]:
    """Explains two mistakes, then a contradiction, and so on; None beyond."""
    lists = (mistakes, contradictions)
    order = sorted(
        (i if which else i // 2, which, i)
        for which, texts in enumerate(lists)
        for i, text in enumerate(texts)
        if text is not None
    )
    # In one call, for full batches.
    explanations = attribution.leave_one_out(
        texts=[lists[which][i] for _, which, i in order], **kwargs
    )
    explained = ([None] * len(mistakes), [None] * len(contradictions))
    for (_, which, i), explanation in zip(order, explanations, strict=False):
        explained[which][i] = explanation
    return explained


def _whole(encoded: EncodedTexts, row: int) -> tuple[EncodedTexts, int] | None:
    """Returns which row a text is; None where it is several windows."""
    if encoded.example_index is None:
        return encoded, row
    first, end = np.searchsorted(encoded.example_index, [row, row + 1])
    return (encoded, int(first)) if end - first == 1 else None


def _place(examples: pd.DataFrame, row: int) -> str:
    path = str(examples["path"].iloc[row])
    return f"{path.rsplit('/', 1)[-1]}:{examples['line'].iloc[row]}"


def _text(examples: pd.DataFrame, row: int) -> str:
    text = examples["text"].iloc[row]
    pair = examples["text_pair"].iloc[row]
    # Lone surrogates cannot be written as UTF-8.
    whole = (text if pair is None else f"{text} | {pair}").encode(
        "utf-8", "replace"
    )
    line = " ".join(whole.decode("utf-8").split())
    if len(line) <= _MOST_LETTERS:
        return line
    return f"{line[: _MOST_LETTERS - 1]}…"


def _words(explanation: Explanation | None) -> tuple[Word, ...]:
    """Returns the words, their pieces glued together again."""
    if explanation is None:
        return ()
    words: list[Word] = []
    inner = list(zip(explanation.pieces, explanation.weights, strict=True))
    # Without [CLS] and the last [SEP]; that between a pair is shown.
    for piece, weight in inner[1:-1]:
        after_bar = bool(words) and words[-1] == _BAR
        if piece == "[SEP]":
            # RoBERTa's are two.
            if not after_bar:
                words.append(_BAR)
            continue
        continues = piece.startswith("##") and words and not after_bar
        if continues and words[-1].weight == weight:
            words[-1] = Word(words[-1].text + piece[2:], weight)
        else:
            # RoBERTa's first word of a text looks like the rest of one.
            words.append(
                Word(piece if continues else piece.removeprefix("##"), weight)
            )
    return tuple(words)
