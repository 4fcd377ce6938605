"""Texts that are answered one by one, as they are typed."""

import re

import numpy as np
import pytest

from bert_tf.errors import InputError
from bert_tf.evaluation import attribution
from bert_tf.inference import interactive
from bert_tf.inference.saved_model_predictor import SavedModelPredictor
from bert_tf.tasks.classification import Classification
from bert_tf.tasks.multi_label import MultiLabel
from tests.scripts import run_script

SINGLE, PAIR = ("text",), ("text_a", "text_b")


class Reader:
    """Gives lines as `input` does, and keeps the prompts."""

    def __init__(self, *lines: str):
        self.lines, self.prompts = list(lines), []

    def __call__(self, prompt: str) -> str:
        self.prompts.append(prompt)
        if not self.lines:
            raise EOFError
        return self.lines.pop(0)


@pytest.fixture(scope="module")
def predictor(saved_model):
    return SavedModelPredictor(saved_model)


def answer(predictor, *texts, is_terminal=False):
    return list(
        interactive.answer_lines(
            predictor,
            Reader(*texts),
            explain=attribution.explain,
            is_terminal=is_terminal,
        )
    )


@pytest.mark.parametrize(
    ("names", "lines", "expected"),
    [
        (SINGLE, ("a", "", " \t ", " b\tc"), [("a",), (" b\tc",)]),
        (SINGLE, ("a", " quit ", "b"), [("a",)]),
        (SINGLE, ("exit",), []),
        (SINGLE, ("quit it",), [("quit it",)]),
        (PAIR, ("a\tb", "c", "", "d"), [("a", "b"), ("c", "d")]),
        (PAIR, ("a", "b\tc", "d\te\tf"), [("a", "b\tc"), ("d", "e\tf")]),
        (PAIR, ("a\t", "\tb", "c\td"), [("c", "d")]),
        (PAIR, ("a", "quit"), []),
    ],
)
def test_lines_are_texts_or_pairs(names, lines, expected):
    texts = interactive.read_texts(names, Reader(*lines), is_terminal=False)
    assert list(texts) == expected


def test_half_a_pair(caplog):
    with pytest.raises(InputError, match="text_a; text_b is missing"):
        list(interactive.read_texts(PAIR, Reader("a"), is_terminal=False))
    # A person has ended it.
    assert not list(interactive.read_texts(PAIR, Reader("a"), is_terminal=True))
    list(interactive.read_texts(PAIR, Reader("a\t"), is_terminal=False))
    assert "beside the tab is no text" in caplog.text


def test_only_a_person_is_prompted():
    for is_terminal, prompts in (
        (True, ["text_a> ", "text_b> ", "text_a> "]),
        (False, ["", "", ""]),
    ):
        reader = Reader("a", "b")
        list(interactive.read_texts(PAIR, reader, is_terminal=is_terminal))
        assert reader.prompts == prompts


def test_answer_scores_and_words(predictor):
    texts = ("the film was good", "the awful plot x")
    lines = answer(predictor, *texts)
    assert len(lines) == 6
    rows = predictor.predict_rows((texts,))
    # The tiny model takes every text without a good word for a bad one.
    for i, (label, other, moved) in enumerate(
        (("pos", "neg", "good +1.00"), ("neg", "pos", "none moves the answer"))
    ):
        first, scores, words = lines[3 * i : 3 * i + 3]
        score = float(rows[i][0][1])
        assert first == f"{label}\t{score:.4f}"
        assert re.fullmatch(rf"  others: {other} 0\.\d{{4}}", scores)
        assert float(scores.split()[-1]) == pytest.approx(1 - score, abs=1e-3)
        assert words == f"  words: {moved}"


def test_answers_come_before_they_are_explained(predictor):
    def explain(*args, **kwargs):
        raise AssertionError("the words were asked first")

    lines = interactive.answer_lines(
        predictor,
        Reader("good"),
        explain=explain,
        is_terminal=False,
    )
    assert next(lines).startswith("pos")
    assert "others" in next(lines)


def test_words_of_awkward_texts(predictor):
    """Longer than the model, unknown, and without any word."""
    for text in ("good " * 300, "хорошо", "\u200b", "\ufffd\x00"):
        lines = answer(predictor, text)
        assert len(lines) == 3, text


def test_models_without_tokens_have_no_words(predictor, monkeypatch):
    assert "words:" in interactive.introduction(predictor)
    monkeypatch.setattr(predictor, "signatures", ("serving_default",))
    assert len(answer(predictor, "good")) == 2
    assert "words:" not in interactive.introduction(predictor)


def test_five_classes_are_listed():
    task = Classification(tuple("abcdefg"))
    details = ["0.1", "0.04", "0.2", "0.3", "0.05", "0.3", "0.01"]
    assert interactive._format_scores(task, ["d", "0.3"], details) == (
        "  others: f 0.3000, c 0.2000, a 0.1000, e 0.0500, b 0.0400"
    )


def test_several_labels_list_all_scores():
    task = MultiLabel(("up", "down"), thresholds=(0.5, 0.5), separator=",")
    assert interactive._format_scores(task, ["down"], ["0.2", "0.9"]) == (
        "  scores: down 0.9000, up 0.2000"
    )


def test_pieces_are_words_again():
    pieces = ("[CLS]", "un", "##happy", "plot", "the", "film", "[SEP]")
    weights = (0.0, -1.0, -1.0, 0.5, 0.05, 0.7, 0.0)
    words = attribution.Explanation(pieces, weights, np.ones(2)).words
    assert words == [
        ("unhappy", -1.0), ("plot", 0.5), ("the", 0.05), ("film", 0.7),
    ]  # fmt: skip
    assert interactive._strongest(words) == (
        "unhappy -1.00, film +0.70, plot +0.50"
    )


def test_from_a_pipe(saved_model):
    done = run_script(
        "predict", f"--model={saved_model}", "--interactive",
        stdin="the film was good\n\nthe awful plot x\nquit\nbad\n",
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert [line[:3] for line in lines if line[0] != " "] == ["pos", "neg"]
    assert "> " not in done.stdout and "is loaded" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--interactive", "a text"), "leave out the texts"),
        (
            ("--interactive", "--output_file=a.csv", "--input_file=b.csv"),
            "leave out --input_file, --output_file",
        ),
        ((), "--input_file or --interactive, one of the three"),
    ],
)
def test_flags_that_exclude_each_other(arguments, words):
    done = run_script("predict", "--model=nowhere", *arguments, status=1)
    # TensorFlow's notes, in a process that forked, are not the script's.
    (line,) = re.findall("^error: .*$", done.stderr, re.M)
    assert words in line and done.stderr.endswith(f"{line}\n")
