"""SQuAD 1.1 and 2.0 files: questions on paragraphs, as JSON."""

import json
from collections.abc import Iterable, Iterator

from bert_tf.data.readers.table import Table
from bert_tf.errors import InputError


def read(lines: Iterator[str], name: str) -> Table:
    """Returns a row for each question, see `_read_questions`."""
    return Table.from_records(_read_questions(lines, name), name)


def _read_questions(
    lines: Iterable[str], name: str
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields the number of each question, from 1, and its fields.

    They are id, question, context, and answers where the file has them: JSON
    of a list of {"text", "answer_start"}, empty where there is no answer.

    Args:
        lines: of the whole file.
        name: of the file, for messages.

    Raises:
        InputError: it is not such a file.
    """
    try:
        articles = json.loads("".join(lines))["data"]
        number = 0
        for article in articles:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    number += 1
                    yield number, _fields(question, paragraph["context"])
    except json.JSONDecodeError as error:
        raise InputError(f"{name}, line {error.lineno}: {error.msg}") from None
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{name} is not in the format of SQuAD, where data holds articles, "
            "these paragraphs with context and qas, and these id, question "
            f"and answers (missing: {error})"
        ) from None


def _fields(question: dict, context: str) -> dict[str, str]:
    fields = {
        "id": str(question["id"]),
        "question": question["question"],
        "context": context,
    }
    if "answers" in question:
        answers = [
            {"text": answer["text"], "answer_start": answer["answer_start"]}
            for answer in question["answers"]
        ]
        if question.get("is_impossible"):
            answers = []
        fields["answers"] = json.dumps(answers, ensure_ascii=False)
    return fields
