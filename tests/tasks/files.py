"""Labelled files that a tiny model can learn, for each task."""

import csv
import json
import random

import numpy as np

from tests.conftest import LETTERS, WORDS

GOOD, BAD = WORDS[:4], WORDS[4:8]


def pair_rows(count: int) -> list[tuple[str, str, int]]:
    """How alike two texts are: 4 with one word in common, else 1."""
    generator = np.random.default_rng(2)
    rows = []
    for i in range(count):
        first = GOOD[i % 4]
        second = first if i % 2 else BAD[i // 2 % 4]
        tail = LETTERS[generator.integers(26)]
        rows.append(
            (f"it was {first} {tail}", f"a {second} plot", 1 + 3 * (i % 2))
        )
    return rows


def label_rows(count: int) -> list[tuple[str, str]]:
    """Words of two kinds, either of which brings a label; split by ;."""
    rows = []
    for i in range(count):
        labels = [name for k, name in enumerate(("up", "down")) if i >> k & 1]
        words = [{"up": GOOD, "down": BAD}[name][i // 4 % 4] for name in labels]
        rows.append(
            (f"the plot {' '.join(words)} {LETTERS[i % 26]}", "; ".join(labels))
        )
    return rows


def long_rows(count: int) -> list[tuple[str, str]]:
    """The words that decide come after 14 that say nothing, or more."""
    generator = random.Random(3)
    rows = []
    for i in range(count):
        words = generator.choices("xyz", k=generator.randint(14, 20))
        words += generator.choices(
            (GOOD, BAD)[i % 2], k=generator.randint(6, 12)
        )
        rows.append((" ".join(words), ("pos", "neg")[i % 2]))
    return rows


def sentences(count: int) -> list[tuple[list[str], list[str]]]:
    """`good` words are entities of one word, `bad` ones begin one of two."""
    generator = random.Random(4)
    found = []
    for _ in range(count):
        words, tags = ["the"], ["O"]
        for _ in range(generator.randint(1, 3)):
            words.append(generator.choice(LETTERS))
            tags.append("O")
            if generator.random() < 0.5:
                words.append(generator.choice(GOOD))
                tags.append("B-up")
            else:
                words += [generator.choice(BAD), generator.choice(LETTERS)]
                tags += ["B-down", "I-down"]
        found.append((words, tags))
    return found


def questions(count: int, longest: int = 12) -> list[tuple[str, str, list]]:
    """What is good? The one good word of the context, where there is one."""
    generator = random.Random(6)
    found = []
    for i in range(count):
        words = generator.choices(LETTERS, k=generator.randint(2, longest))
        answers = []
        if i % 4:
            place = generator.randrange(len(words))
            words[place] = generator.choice(GOOD)
            start = len(" ".join([*words[:place], ""]))
            answers = [{"text": words[place], "answer_start": start}]
        found.append(("a good ?", " ".join(words), answers))
    return found


def write_rows(path, header, rows) -> str:
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


def write_conll(path, rows) -> str:
    lines = [
        "".join(f"{word}\t{tag}\n" for word, tag in zip(*row, strict=True))
        for row in rows
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def write_squad(path, rows) -> str:
    paragraphs = [
        {
            "context": context,
            "qas": [
                {
                    "id": str(i), "question": question, "answers": answers,
                    "is_impossible": not answers,
                }
            ],
        }
        for i, (question, context, answers) in enumerate(rows)
    ]  # fmt: skip
    value = {"version": "v2.0", "data": [{"paragraphs": paragraphs}]}
    path.write_text(json.dumps(value), encoding="utf-8")
    return str(path)
