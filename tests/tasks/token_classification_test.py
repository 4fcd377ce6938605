"""Named entities: tags of words, and spans in the original text."""

import random

import numpy as np
import pytest
import tensorflow as tf

from bert_tf.config.training import TrainConfig
from bert_tf.data import encoding, examples
from bert_tf.errors import InputError
from bert_tf.tasks.token_classification import TokenClassification
from bert_tf.training.train import train_files as train
from tests.tasks.files import write_conll

TASK = TokenClassification(("O", "B-a", "I-a", "B-b", "I-b"))


# Accents (one code point and two), ligatures, CJK, emoji of several code
# points, control and format characters, spaces of several kinds, right to left.
_POOL = [
    *"aeinst GOODxyz.,!?()[]'\"-",
    *"éüßﬁΣσİıÅñ", "e\u0301", "a\u0308\u0323", "\u0301",
    *"漢字東京カナ한국어", "👩‍👩‍👧", "😀🏽", "🇩🇪", "♀️",
    "\0", "\x07", "\x85", "\u200b", "\u200d", "\ufeff", "\ufffd", "\u00ad",
    "\t", "\n", "\r\n", "  ", "   ", "\u00a0", "\u3000", "\u2028",
    *"שלום", *"नमस्ते", "\U0001d4d0", "good ", "x" * 101, "\U0010ffff",
]  # fmt: skip


def test_every_entity_is_the_slice_at_its_offsets(preprocessor):
    """2,000 generated texts, with tags that no model has to give."""
    generator = random.Random(8)
    texts = [
        "".join(generator.choices(_POOL, k=generator.randint(0, 30)))
        for _ in range(2000)
    ]
    # As a caller's text arrives: whole.
    preprocessor = type(preprocessor)(
        preprocessor.vocabulary, sequence_length=512
    )
    _, answer = TASK.signatures()["serving_default"]

    @tf.function(autograph=False)
    def ask(texts):
        placed = preprocessor.tokenize_with_offsets(texts)
        offsets = preprocessor.pack_offsets((placed.offsets,))
        shape = [tf.shape(offsets)[0], tf.shape(offsets)[1], TASK.num_outputs]
        chances = tf.random.stateless_uniform(shape, [1, 2]) ** 4
        plain = preprocessor.tokenize(texts)
        return placed.ids, plain, answer(
            {"text": texts, "offsets": offsets, "probabilities": chances}
        )  # fmt: skip

    ids, plain, found = ask(tf.constant([text.encode() for text in texts]))
    assert ids.to_list() == plain.to_list()
    found = {name: value.numpy() for name, value in found.items()}
    count = 0
    for row, text in enumerate(texts):
        before = 0
        for i in range(found["count"][row]):
            start, end = found["start"][row, i], found["end"][row, i]
            assert before <= start < end <= len(text)
            assert text[start:end] == found["entity"][row, i].decode()
            before = end
            count += 1
    assert count > 2000


def test_an_entity_ends_where_its_last_piece_does(preprocessor):
    texts = tf.constant(["the unhappyly films x"])
    placed = preprocessor.tokenize_with_offsets(texts)
    # [CLS] the un ##happy ##ly film ##s x, of which first pieces have tags.
    tags = [0, 0, 1, 0, 0, 2, 0, 0]
    offsets = preprocessor.pack_offsets((placed.offsets,))
    tags += [0] * (offsets.shape[1] - len(tags))
    _, answer = TASK.signatures()["serving_default"]
    found = answer(
        {
            "text": texts,
            "offsets": offsets,
            "probabilities": tf.one_hot([tags], TASK.num_outputs),
        }
    )
    assert found["entity"].numpy().tolist() == [[b"unhappyly films"]]
    assert (found["start"].numpy(), found["end"].numpy()) == (4, 19)


def test_labels_on_first_pieces(preprocessor, tmp_path):
    rows = [
        (["unhappyly", "(caf\u00e9)", "\0", "x"], ["B-a", "O", "O", "B-b"]),
        (["good"] * 20, ["B-a"] + ["I-a"] * 19),
    ]
    part, _ = examples.read_examples([write_conll(tmp_path / "a.conll", rows)])
    encoded = encoding.encode(
        preprocessor, examples.segments(part), with_offsets=True
    )
    targets = TASK.targets(part, encoded).to_list()
    # [CLS] un ##happy ##ly ( caf ##e ) x [SEP]
    assert targets[0] == [-1, 1, -1, -1, 0, -1, -1, -1, 3, -1]
    assert targets[1] == [-1, 1] + [2] * 13 + [-1]
    np.testing.assert_allclose(
        TASK.weights(TASK.targets(part, encoded), "none"), [3, 14]
    )
    perfect = np.eye(5)[np.maximum(np.concatenate(targets), 0)]
    metrics = TASK.metrics(part, encoded, perfect.astype(np.float32))
    # What was cut off is not found.
    assert metrics["eval_precision"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    "lines, message",
    [
        ("a\tB-x\nb\tI-y\n", r'line 2: the tag "I-y" follows no tag'),
        ("a\tB-x\n\nb\tE-x\n", r'line 3: the tag "E-x" is not IOB2'),
        ("a\tB-x\nb\n", "line 2: 1 fields"),
        ("a\tO\nb\tO\n", "no tag but O"),
    ],
)
def test_faults_are_told(tmp_path, preset, lines, message):
    file = tmp_path / "t.conll"
    file.write_text(lines)
    with pytest.raises(InputError, match=message):
        train(
            TrainConfig(
                train_file=(str(file),), validation_file=(str(file),),
                output_dir=str(tmp_path / "run"), preset=preset, task="token",
                max_seq_length=16,
            )
        )  # fmt: skip
