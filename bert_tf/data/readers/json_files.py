"""JSON lines, and the JSON of SQuAD."""

import json
from collections.abc import Iterable, Iterator

from bert_tf.data.readers.table import Table
from bert_tf.errors import InputError


def read_lines(lines: Iterator[str], name: str) -> Table:
    """Returns a row for each object, with the columns of the first."""
    return Table.from_records(_records(lines, name), name)


def _records(
    lines: Iterator[str], name: str
) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line.rstrip())
        except json.JSONDecodeError as error:
            raise InputError(
                f"{name}, line {number}, column {error.colno}: not JSON "
                f"({error.msg}); every line must be one JSON object"
            ) from None
        if not isinstance(fields, dict):
            raise InputError(
                f"{name}, line {number}: every line must be one JSON object, "
                f'such as {{"text": "...", "label": "..."}}'
            )
        yield number, {key: _as_text(fields[key]) for key in fields}


def _as_text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def read_squad(lines: Iterator[str], name: str) -> Table:
    """Returns a row for each question of SQuAD, see `_read_questions`."""
    return Table.from_records(_read_questions(lines, name), name)


def _read_questions(
    lines: Iterable[str], name: str
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields the number of each question, from 1, and its fields.

    They are id, question, context, and answers where the file has them: JSON
    of a list of {"text", "answer_start"}, empty where there is no answer.

    Args:
        lines: of the whole file.

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
                    yield (
                        number,
                        _question_fields(question, paragraph["context"]),
                    )
    except json.JSONDecodeError as error:
        raise InputError(f"{name}, line {error.lineno}: {error.msg}") from None
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{name} is not in the format of SQuAD, where data holds articles, "
            "these paragraphs with context and qas, and these id, question "
            f"and answers (missing: {error})"
        ) from None


def _question_fields(question: dict, context: str) -> dict[str, str]:
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
