"""The names of what an exported model takes."""

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
