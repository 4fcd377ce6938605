import pytest

from bert_tf.errors import InputError
from bert_tf.text import vocabulary
from bert_tf.text.vocabulary import Vocabulary
from tests.conftest import TOKENS


def test_file_round_trip(tmp_path):
    path = str(tmp_path / "vocab.txt")
    tokens = (*TOKENS, "\u2028", "a\x85")
    vocabulary.write_tokens(path, tokens)
    assert vocabulary.read_tokens(path) == tokens


@pytest.mark.parametrize(
    ("tokens", "rows", "words"),
    [
        (TOKENS[1:], len(TOKENS), r"lacks \[PAD\]"),
        ((*TOKENS, "a"), len(TOKENS) + 1, "holds 'a' twice"),
        (TOKENS, len(TOKENS) - 1, "do not belong together"),
        (TOKENS, len(TOKENS) + 128, "do not belong together"),
    ],
)
def test_misfits(tokens, rows, words):
    with pytest.raises(InputError, match=words):
        vocabulary.check_vocabulary(
            Vocabulary(tokens, True, True), embedding_rows=rows, source="x"
        )


def test_embedding_rounded_up_to_a_multiple_of_128_fits():
    def fits(rows):
        try:
            vocabulary.check_vocabulary(
                Vocabulary(TOKENS, True, True), embedding_rows=rows, source="x"
            )
        except InputError:
            return False
        return True

    found = [more for more in range(-3, 260) if fits(len(TOKENS) + more)]
    assert found == list(range(128))
