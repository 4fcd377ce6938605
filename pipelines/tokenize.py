"""Shows the tokens, ids, segment ids and mask of texts, and what is cut off.

python -m pipelines.tokenize "Forest fire near La Ronge" "a café"
python -m pipelines.tokenize --pair "the first text" "the second"
python -m pipelines.tokenize --max_seq_length=16 "a text that is too long ..."
"""

from absl import flags

from bert_tf import quiet
from bert_tf.errors import InputError
from pipelines import app, common_flags, help_page

common_flags.define_text()
with help_page.group("Data"):
    _PAIR = flags.DEFINE_boolean(
        "pair", False, "Take the two texts as one pair."
    )

# [CLS], a token and [SEP].
_SHORTEST = 3


def main(argv: list[str]) -> None:
    """Prints a table for each text."""
    texts = argv[1:]
    if not texts or (_PAIR.value and len(texts) != 2):
        raise InputError(
            "--pair needs two texts" if _PAIR.value else "give texts to show"
        )
    length = common_flags.FLAGS["max_seq_length"].value
    if length < _SHORTEST:
        raise InputError(
            f"--max_seq_length={length} must be at least {_SHORTEST}"
        )
    with quiet.imports():
        from bert_tf.presets import presets
        from bert_tf.text.preprocessor import Preprocessor, token_table
    preset = presets.resolve(common_flags.FLAGS["preset"].value)
    preprocessor = Preprocessor(preset.vocabulary, sequence_length=length)
    for segments in [tuple(texts)] if _PAIR.value else [(t,) for t in texts]:
        print(token_table(preprocessor, segments))
        kept, cut = _kept_and_cut(preprocessor, segments)
        print(f"{kept} tokens; at most {length} (--max_seq_length)")
        for name, tokens in zip(("first", "second"), cut, strict=False):
            if tokens:
                where = f"of the {name} text " if _PAIR.value else ""
                print(f"cut off {where}({len(tokens)}): {' '.join(tokens)}")


def _kept_and_cut(preprocessor, segments) -> tuple[int, list[list[str]]]:
    """Returns how many tokens are left, and those of each text that are not."""
    import tensorflow as tf

    @tf.function(autograph=False)
    def tokenize(*texts):
        pieces = tuple(map(preprocessor.tokenize, texts))
        return pieces, preprocessor.pack(pieces)["segment_ids"][0]

    pieces, of_kept = tokenize(*(tf.constant([text]) for text in segments))
    of_kept = of_kept.numpy().tolist()
    vocabulary = preprocessor.vocabulary
    cut = []
    for number, ids in enumerate(pieces):
        is_last = number == len(pieces) - 1
        special = (number == 0) + (1 if is_last else vocabulary.separators)
        room = of_kept.count(number) - special
        cut.append([vocabulary.tokens[i] for i in ids[0].numpy()[room:]])
    return len(of_kept), cut


if __name__ == "__main__":
    app.run_script(main, arguments="TEXT ...")
