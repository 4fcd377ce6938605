"""Answers texts one by one, as they are typed."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from absl import logging

from bert_tf.errors import InputError
from bert_tf.inference.saved_model_predictor import SavedModelPredictor
from bert_tf.tasks.base import Task

# Lines that end the input.
_ENDS = ("quit", "exit")
_MOST_CLASSES = 5
_MOST_WORDS = 5
# Of the strongest word's weight: others say little.
_LEAST_WEIGHT = 0.1


def introduction(predictor: SavedModelPredictor) -> str:
    """Returns what a person is to know before the first prompt."""
    lines = [f"{predictor.path} is loaded; quit or Ctrl-D ends."]
    if predictor.has_pairs:
        lines.append(
            f"{' and '.join(predictor.inputs)}: one after the other, or on "
            "one line with a tab between."
        )
    if _is_explainable(predictor):
        lines.append(
            "words: how much each speaks for the answer (+) or against it "
            "(-); the strongest is 1."
        )
    return "\n".join(lines)


def answer_lines(
    predictor: SavedModelPredictor,
    read_line: Callable[[str], str],
    *,
    explain: Callable,
    is_terminal: bool,
) -> Iterator[str]:
    """Reads texts until the input ends, and yields what to show of each.

    The answer comes first, as `format_answer` has it; scores and words follow
    in lines that are indented.

    Args:
        predictor: answers.
        read_line: returns the next line, as `input` does.
        explain: `attribution.explain`, of a package above this.
        is_terminal: whether a person is to be prompted.

    Raises:
        InputError: the input ends between the texts of a pair.
    """
    is_explainable = _is_explainable(predictor)
    tokens = predictor.read_tokens() if is_explainable else ()
    for texts in read_texts(
        predictor.inputs, read_line, is_terminal=is_terminal
    ):
        segments = tuple([text] for text in texts)
        ((answer, details),) = predictor.predict_rows(segments)
        yield format_answer(predictor.task, answer) or "(none)"
        if details:
            yield _format_scores(predictor.task, answer, details)
        if not is_explainable:
            continue
        encoded = predictor.encode(segments)
        # Windows of one text are not explained.
        if len(encoded.lengths) > 1:
            continue
        explanation = explain(predictor.predict_encoded, encoded, tokens)
        words = _strongest(explanation.words)
        yield f"  words: {words or 'none moves the answer'}"


def read_texts(
    names: Sequence[str],
    read_line: Callable[[str], str],
    *,
    is_terminal: bool,
) -> Iterator[tuple[str, ...]]:
    """Yields a text, or a pair, until the input ends or says quit.

    A pair is a line with a tab between its texts, or two lines. Empty lines
    are passed over.

    Args:
        names: of the texts, for the prompts.
        read_line: returns the next line, as `input` does.
        is_terminal: whether a person is to be prompted.

    Raises:
        InputError: the input, not a person, ends within a pair.
    """
    texts: list[str] = []
    while True:
        name = names[len(texts)]
        try:
            line = read_line(f"{name}> " if is_terminal else "")
        except EOFError:
            if texts and not is_terminal:
                raise InputError(
                    f"the input ends with {names[0]}; {name} is missing"
                ) from None
            return
        if line.strip() in _ENDS:
            return
        if not line.strip():
            continue
        if len(names) == 2 and not texts and "\t" in line:
            texts = line.split("\t", 1)
            if not all(text.strip() for text in texts):
                logging.warning("Passed over: beside the tab is no text.")
                texts = []
                continue
        else:
            texts.append(line)
        if len(texts) == len(names):
            yield tuple(texts)
            texts = []


def format_answer(task: Task, answer: Sequence[str]) -> str:
    """Returns the cells of answer_columns, separated by tabs."""
    return "\t".join(
        f"{float(cell):.4f}" if column == "score" else cell
        for column, cell in zip(task.answer_columns, answer, strict=True)
    )


def _is_explainable(predictor: SavedModelPredictor) -> bool:
    """Whether words can be left out of a text that is tokenized."""
    return predictor.task.is_multiclass and {"tokenize", "tokens"} <= set(
        predictor.signatures
    )


def _format_scores(
    task: Task, answer: Sequence[str], details: Sequence[str]
) -> str:
    """Returns the likeliest classes but the answer; of several labels all."""
    chances = np.array(details, np.float32)
    names = [task.class_names[i] for i in np.argsort(-chances, kind="stable")]
    if task.is_multiclass:
        names.remove(answer[0])
    by_name = dict(zip(task.class_names, chances, strict=True))
    shown = ", ".join(
        f"{name} {by_name[name]:.4f}" for name in names[:_MOST_CLASSES]
    )
    return f"  {'others' if task.is_multiclass else 'scores'}: {shown}"


def _strongest(words: Sequence[tuple[str, float]]) -> str:
    """Returns the words that moved an answer most, the strongest first."""
    words = [word for word in words if abs(word[1]) >= _LEAST_WEIGHT]
    words.sort(key=lambda word: -abs(word[1]))
    return ", ".join(
        f"{text} {weight:+.2f}" for text, weight in words[:_MOST_WORDS]
    )
