"""Shows the tokens, ids, segment ids and mask of texts.

python -m pipelines.tokenize "Forest fire near La Ronge" "a café"
python -m pipelines.tokenize --pair "the first text" "the second"
"""

from absl import flags

from bert_tf.errors import InputError
from pipelines import app, common_flags, help_page, quiet

common_flags.define_text()
with help_page.group("Data"):
    _PAIR = flags.DEFINE_boolean(
        "pair", False, "Take the two texts as one pair."
    )


def main(argv: list[str]) -> None:
    """Prints a table for each text."""
    texts = argv[1:]
    if not texts or (_PAIR.value and len(texts) != 2):
        raise InputError(
            "--pair needs two texts" if _PAIR.value else "give texts to show"
        )
    with quiet.imports():
        from bert_tf.presets import presets
        from bert_tf.text.preprocessor import Preprocessor, token_table
    preset = presets.resolve(common_flags.FLAGS["preset"].value)
    preprocessor = Preprocessor(
        preset.vocabulary,
        sequence_length=common_flags.FLAGS["max_seq_length"].value,
    )
    for segments in [tuple(texts)] if _PAIR.value else [(t,) for t in texts]:
        print(token_table(preprocessor, segments))


if __name__ == "__main__":
    app.run_script(main, arguments="TEXT ...")
