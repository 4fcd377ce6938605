"""The names of what an exported model takes."""

from collections.abc import Collection, Mapping
from typing import Any

SINGLE_INPUTS = ("text",)
PAIR_INPUTS = ("text_a", "text_b")
QUESTION_INPUTS = ("question", "context")
TOKEN_INPUTS = ("input_word_ids", "input_mask", "input_type_ids")


def text_inputs(*, has_pairs: bool, has_windows: bool) -> tuple[str, ...]:
    """Returns the names of the texts that a model takes.

    Args:
        has_pairs: whether it takes two.
        has_windows: whether the second may be longer than the model.
    """
    if not has_pairs:
        return SINGLE_INPUTS
    return QUESTION_INPUTS if has_windows else PAIR_INPUTS


def in_order(names: Collection[str]) -> tuple[str, ...]:
    """Returns names of text inputs in the order of a row's texts.

    A server lists them by the alphabet; () where they are none of ours.
    """
    for ours in (SINGLE_INPUTS, PAIR_INPUTS, QUESTION_INPUTS):
        if set(ours) == set(names):
            return ours
    return ()


def token_inputs(tokens: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the signature `tokens` takes of what `tokenize` answers.

    That also tells places and owners, where the task needs to know them.
    """
    return {name: tokens[name] for name in TOKEN_INPUTS}
