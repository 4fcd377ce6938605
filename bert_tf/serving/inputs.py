"""The names of what an exported model takes."""

SINGLE_INPUTS = ("text",)
PAIR_INPUTS = ("text_a", "text_b")
TOKEN_INPUTS = ("input_word_ids", "input_mask", "input_type_ids")
