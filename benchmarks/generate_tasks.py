"""Writes small files for the tasks besides classification, of articles.

    python -m pipelines.prepare_bbc_news --text=articles \
        --output_dir=bbc_articles
    python -m benchmarks.generate_tasks --output_dir=tasks_data

Of the BBC News articles in train.csv and test.csv there, one file each:

- pairs_*.csv: a sentence, and one with a third of its words left out; label
  `same` where that is of the first, `other` where of a neighbour of it.
- similarity_*.csv: a sentence and the same with some words replaced; label
  the share of words that were kept.
- topics_*.csv: sentences of one to three classes; their names are the labels.
- questions_*.json, in the format of SQuAD 2.0: the question is a sentence
  whose number is replaced by "what number", the context three sentences
  around it, or, for a question in five, of another article.
"""

import csv
import json
import os
import random
import re

import pandas as pd
from absl import app, flags

_DATA_DIR = flags.DEFINE_string(
    "data_dir", "bbc_articles", "Of pipelines.prepare_bbc_news."
)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder to write to.")
_ROWS = flags.DEFINE_integer("rows", 1000, "Training rows of each task.")
_TEST_ROWS = flags.DEFINE_integer("test_rows", 300, "Test rows of each task.")
_SEED = flags.DEFINE_integer("seed", 42, "Seed of what is drawn.")

_NUMBER = re.compile(r"(?<![\w.,])\d+(?![\w.,]*\d)")
_LONGEST = 30
_UNANSWERED = 0.2


def main(argv: list[str]) -> None:
    """Writes the files."""
    del argv
    os.makedirs(_OUTPUT_DIR.value, exist_ok=True)
    for part, rows in (("train", _ROWS.value), ("test", _TEST_ROWS.value)):
        generator = random.Random(f"{_SEED.value} {part}")
        frame = pd.read_csv(os.path.join(_DATA_DIR.value, f"{part}.csv"))
        articles = [
            (label, split(text))
            for text, label in zip(frame["text"], frame["label"], strict=True)
        ]
        articles = [one for one in articles if len(one[1]) >= 4]
        for name, header, make in (
            ("pairs", ("text_a", "text_b", "label"), pair),
            ("similarity", ("text_a", "text_b", "label"), similarity),
            ("topics", ("text", "labels"), topics),
        ):
            path = os.path.join(_OUTPUT_DIR.value, f"{name}_{part}.csv")
            with open(path, "w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(header)
                writer.writerows(make(articles, generator) for _ in range(rows))
        write_questions(
            os.path.join(_OUTPUT_DIR.value, f"questions_{part}.json"),
            articles, generator, rows,
        )  # fmt: skip


def split(text: str) -> list[str]:
    """Returns the sentences of 5 to 30 words."""
    sentences = re.split(r"(?<=[.!?]) (?=[A-Z\"])", text)
    return [s for s in sentences if 5 <= len(s.split()) <= _LONGEST]


def pair(articles, generator) -> tuple[str, str, str]:
    """Returns a sentence, a shortened one, and whether it is the same."""
    _, sentences = generator.choice(articles)
    place = generator.randrange(len(sentences) - 1)
    label = generator.choice(("same", "other"))
    words = sentences[place + (label == "other")].split()
    kept = sorted(generator.sample(range(len(words)), len(words) * 2 // 3))
    return sentences[place], " ".join(words[i] for i in kept), label


def similarity(articles, generator) -> tuple[str, str, str]:
    """Returns a sentence, one with words replaced, and the share kept."""
    words = generator.choice(generator.choice(articles)[1]).split()
    others = generator.choice(generator.choice(articles)[1]).split()
    replaced = generator.sample(
        range(len(words)), generator.randint(0, len(words))
    )
    changed = list(words)
    for place in replaced:
        changed[place] = generator.choice(others)
    kept = 1 - len(replaced) / len(words)
    return " ".join(words), " ".join(changed), f"{kept:.3f}"


def topics(articles, generator) -> tuple[str, str]:
    """Returns sentences of some classes, and these."""
    names = sorted({label for label, _ in articles})
    wanted = generator.sample(names, generator.randint(1, min(3, len(names))))
    found = [
        generator.choice(
            generator.choice([s for of, s in articles if of == label])
        )
        for label in wanted
    ]
    generator.shuffle(found)
    return " ".join(found), ";".join(wanted)


def write_questions(path: str, articles, generator, rows: int) -> None:
    """Writes questions about numbers."""
    paragraphs = []
    while len(paragraphs) < rows:
        _, sentences = generator.choice(articles)
        place = generator.randrange(1, len(sentences) - 1)
        around = sentences[place - 1 : place + 2]
        numbers = list(_NUMBER.finditer(sentences[place]))
        if not numbers:
            continue
        number = generator.choice(numbers)
        asked = sentences[place]
        asked = f"{asked[: number.start()]}what number{asked[number.end() :]}"
        answers = [
            {
                "text": number.group(),
                "answer_start": len(around[0]) + 1 + number.start(),
            }
        ]
        if generator.random() < _UNANSWERED:
            around, answers = generator.choice(articles)[1][:3], []
        question = {
            "id": str(len(paragraphs)),
            "question": asked.rstrip(".") + "?",
            "answers": answers,
            "is_impossible": not answers,
        }
        paragraphs.append({"context": " ".join(around), "qas": [question]})
    with open(path, "w", encoding="utf-8") as file:
        json.dump(
            {"version": "2.0", "data": [{"paragraphs": paragraphs}]}, file
        )


if __name__ == "__main__":
    flags.mark_flags_as_required(["output_dir"])
    app.run(main)
