"""JSON: lines of objects, an array of objects, and SQuAD's."""

import itertools
import json
from collections.abc import Iterator

from bert_tf.config.read_options import ReadOptions
from bert_tf.data.readers.table import Table, as_text
from bert_tf.errors import InputError

_EXAMPLE = '{"text": "...", "label": "..."}'


def read(lines: Iterator[str], name: str, options: ReadOptions) -> Table:
    """Returns a row for each object, or question of SQuAD.

    The first line that is not blank tells which. Lines are streamed; an array,
    and SQuAD's, are read as a whole.
    """
    del options
    skipped, first = 0, ""
    for first in lines:
        if first.strip():
            break
        skipped += 1
    if not first.strip():
        raise InputError(f"{name} is empty")
    try:
        value = json.loads(first)
    except ValueError:
        value = None
    second = next(lines, "")
    lines = itertools.chain([second], lines) if second else lines
    if _is_row(value, alone=not second):
        records = _read_lines(first, lines, name, skipped)
    elif first.lstrip().startswith("["):
        records = _read_array(first + "".join(lines), name, skipped)
    else:
        records = _read_whole(first, lines, name, skipped)
    return Table.from_records(records, name)


def _read_lines(
    first: str, lines: Iterator[str], name: str, skipped: int
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields the line of each object, and its fields."""
    number = skipped + 1
    yield number, _line_fields(first, name, number)
    for line in lines:
        number += 1
        if line.strip():
            yield number, _line_fields(line, name, number)


def _line_fields(line: str, name: str, number: int) -> dict[str, str]:
    try:
        value = json.loads(line.rstrip())
    except json.JSONDecodeError as error:
        raise InputError(
            f"{name}, line {number}, column {error.colno}: not JSON "
            f"({error.msg}); every line must be one JSON object"
        ) from None
    except (ValueError, RecursionError) as error:
        # Numbers of more than 4,300 digits; thousands of brackets.
        raise InputError(f"{name}, line {number}: not JSON ({error})") from None
    return _fields(value, f"{name}, line {number}: every line")


def _fields(value: object, where: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise InputError(f"{where} must be one JSON object, such as {_EXAMPLE}")
    return {key: as_text(value[key]) for key in value}


def _read_array(
    text: str, name: str, skipped: int
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields the line on which each object of an array starts, and its fields.

    One after the other, for json.loads would not say the lines.
    """
    decoder = json.JSONDecoder()
    place = _past_space(text, text.index("[") + 1)
    counted, number = 0, skipped + 1
    try:
        while text[place : place + 1] != "]":
            number += text.count("\n", counted, place)
            counted = place
            value, place = decoder.raw_decode(text, place)
            yield (
                number,
                _fields(value, f"{name}, line {number}: every item"),
            )
            place = _past_space(text, place)
            if text[place : place + 1] not in (",", "]"):
                raise json.JSONDecodeError("Expecting ',' or ']'", text, place)
            if text[place] == ",":
                place = _past_space(text, place + 1)
        rest = _past_space(text, place + 1)
        if rest < len(text):
            raise json.JSONDecodeError("Extra data", text, rest)
    except json.JSONDecodeError as error:
        raise _not_json(error, name, skipped) from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{name}, from line {number} on: not JSON ({error})"
        ) from None


def _past_space(text: str, place: int) -> int:
    while text[place : place + 1].isspace():
        place += 1
    return place


def _read_whole(
    first: str, lines: Iterator[str], name: str, skipped: int
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields the questions of SQuAD; tells what else a file is."""
    second = next(lines, "")
    if second.lstrip().startswith("{"):
        # Lines, and the first of them is not right.
        _line_fields(first, name, skipped + 1)
    try:
        value = json.loads(first + second + "".join(lines))
    except json.JSONDecodeError as error:
        raise _not_json(error, name, skipped) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: not JSON ({error})") from None
    if not isinstance(value, dict) or "data" not in value:
        raise InputError(
            f"{name} is one JSON value, not rows; write lines, or an array, of "
            f"objects such as {_EXAMPLE} "
            '(pandas: to_json(..., orient="records"))'
        )
    yield from _read_questions(value, name)


def _not_json(
    error: json.JSONDecodeError, name: str, skipped: int
) -> InputError:
    return InputError(
        f"{name}, line {skipped + error.lineno}, column {error.colno}: not "
        f"JSON ({error.msg})"
    )


def _is_row(value: object, *, alone: bool) -> bool:
    """Whether a line is an object that is neither SQuAD's nor a whole table.

    What pandas writes by default is one object, of columns of objects; of
    lists, where it is told so and there is no other line.
    """
    if not isinstance(value, dict):
        return False
    articles = value.get("data")
    is_squad = (
        isinstance(articles, list)
        and bool(articles)
        and isinstance(articles[0], dict)
        and (alone or "paragraphs" in articles[0])
    )
    kinds = {type(column) for column in value.values()}
    is_table = kinds == {dict} or (kinds == {list} and alone)
    return not is_squad and not is_table


def _read_questions(
    value: dict, name: str
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields the number of each question, from 1, and its fields.

    They are id, question, context, and answers where the file has them: JSON
    of a list of {"text", "answer_start"}, empty where there is no answer.

    Raises:
        InputError: it is not such a file.
    """
    try:
        number = 0
        for article in value["data"]:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    number += 1
                    yield (
                        number,
                        _question_fields(question, paragraph["context"]),
                    )
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{name} is not in the format of SQuAD, where data holds articles, "
            "these paragraphs with context and qas, and these id, question "
            f"and answers (missing: {error})"
        ) from None


def _question_fields(question: dict, context: str) -> dict[str, str]:
    fields = {
        "id": str(question["id"]),
        "question": as_text(question["question"]),
        "context": as_text(context),
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
