r"""Says which words a pretrained model expects where a text has [MASK].

    python -m pipelines.fill_mask --model=runs/language \
        "the central bank left interest [MASK] unchanged"

Prints a table for each text, or with --json a line.
"""

import json

from absl import flags

from bert_tf import quiet
from bert_tf.errors import InputError
from pipelines import app, help_page

with help_page.group("Model"):
    _MODEL = flags.DEFINE_string(
        "model",
        None,
        "A run of pipelines.pretrain, or a preset that has a head for masked "
        "words.",
    )
with help_page.group("Output"):
    _TOP_K = flags.DEFINE_integer(
        "top_k", 5, "Words for each [MASK].", lower_bound=1
    )
    _JSON = flags.DEFINE_boolean(
        "json", False, "Print a JSON line for each text."
    )


def main(argv: list[str]) -> None:
    """Fills the masks of each argument."""
    from bert_tf.text.vocabulary import SPECIAL_TOKENS

    texts = argv[1:]
    if not texts:
        raise InputError('give a text, such as "the [MASK] was good"')
    for text in texts:
        if SPECIAL_TOKENS.mask not in text:
            raise InputError(f"there is no {SPECIAL_TOKENS.mask} in {text!r}")
    with quiet.imports():
        from bert_tf.pretraining import fill_mask
    fill = fill_mask.MaskFiller(_MODEL.value)
    for text in texts:
        candidates = fill(text, top_k=_TOP_K.value)
        if _JSON.value:
            masks = [
                [[c.token, c.probability] for c in mask] for mask in candidates
            ]
            print(json.dumps({"text": text, "masks": masks}))
        else:
            print(fill_mask.describe(text, candidates))


if __name__ == "__main__":
    app.run_script(main, required=["model"], arguments="TEXT ...")
