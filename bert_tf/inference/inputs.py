"""The names of an exported model's inputs and outputs."""

from collections.abc import Collection, Mapping
from typing import Any

SINGLE_INPUTS = ("text",)
PAIR_INPUTS = ("text_a", "text_b")
QUESTION_INPUTS = ("question", "context")
TOKEN_INPUTS = ("input_word_ids", "input_mask", "input_type_ids")
_FORMER_NAMES = {"places": "offsets", "owners": "example_index"}


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


def current_names(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a signature's outputs by the names that they have today.

    Models exported before December 2026 say `places` and `owners`; they are
    read until version 1.0.
    """
    return {_FORMER_NAMES.get(name, name): outputs[name] for name in outputs}


def token_inputs(tokens: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the signature `tokens` takes of what `tokenize` answers.

    That also tells offsets and example_index, where the task needs them.
    """
    return {name: tokens[name] for name in TOKEN_INPUTS}
