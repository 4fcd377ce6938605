"""Named entities: from a CoNLL file to spans in the original text."""

import json
import random

import numpy as np
import pytest
import tensorflow as tf

from bert_tf.config import TrainConfig
from bert_tf.data import examples, pipeline
from bert_tf.errors import InputError
from bert_tf.evaluation import evaluate
from bert_tf.serving.export import export
from bert_tf.serving.predictor import Predictor
from bert_tf.tasks.token import Token
from bert_tf.training.train import train
from tests.conftest import LETTERS, WORDS
from tests.serving import hermetic
from tests.serving.export_test import HOSTILE

GOOD, BAD = WORDS[:4], WORDS[4:8]
TASK = Token(("O", "B-a", "I-a", "B-b", "I-b"))


def sentences(count):
    """`good` words are entities of one word, `bad` ones begin one of two."""
    generator = random.Random(4)
    found = []
    for _ in range(count):
        words, tags = ["the"], ["O"]
        for _ in range(generator.randint(1, 3)):
            words.append(generator.choice(LETTERS))
            tags.append("O")
            if generator.random() < 0.5:
                words.append(generator.choice(GOOD))
                tags.append("B-up")
            else:
                words += [generator.choice(BAD), generator.choice(LETTERS)]
                tags += ["B-down", "I-down"]
        found.append((words, tags))
    return found


def write_conll(path, rows):
    lines = [
        "".join(f"{word}\t{tag}\n" for word, tag in zip(*row, strict=True))
        for row in rows
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory, preset):
    folder = tmp_path_factory.mktemp("token")
    file = write_conll(folder / "t.conll", sentences(240))
    metrics = train(
        TrainConfig(
            train_file=(file,),
            output_dir=str(folder / "run"),
            preset=preset,
            task="token",
            max_seq_length=24,
            train_batch_size=8,
            learning_rate=5e-3,
            num_train_epochs=6,
            validation_split=0.25,
        )
    )
    return folder, file, metrics


@pytest.fixture(scope="module")
def model(run):
    folder = run[0]
    return export(
        str(folder / "run"), name="m", models_dir=str(folder / "models")
    )


def test_it_learns(run):
    assert run[2]["eval_f1"] > 0.9
    assert set(run[2]["per_class"]) == {"up", "down"}
    assert (run[0] / "run" / "report.html").exists()


def test_run_and_saved_model_evaluate_alike(run, model, tmp_path):
    folder, file, _ = run
    both = [
        evaluate.evaluate(path, [file]) for path in (str(folder / "run"), model)
    ]
    np.testing.assert_allclose(
        both[0].probabilities, both[1].probabilities, atol=1e-5
    )
    assert both[0].metrics["eval_f1"] == both[1].metrics["eval_f1"]
    evaluate.write(str(tmp_path), both[1])
    assert (tmp_path / "predictions.csv").exists()


def test_spans_in_the_text(model):
    text = "the x  GOOD, (sad é) y"
    ((cells, _),) = Predictor(model).cells(([text],))
    found = json.loads(cells[0])
    assert (found[0]["label"], found[0]["entity"]) == ("up", "GOOD")
    for one in found:
        assert text[one["start"] : one["end"]] == one["entity"]


@pytest.mark.slow
def test_hermetic(model, tmp_path):
    found = hermetic.answers(model, tmp_path, text=["é  GOOD y"])
    assert found["entity"][0][0] == "GOOD"
    assert found["start"][0][0] == 3


def test_neighbours_and_empty_batches(model):
    serve = tf.saved_model.load(model).signatures["serving_default"]
    good = "the x good y"
    texts = [good.encode(), b"\xff\xfe" + good.encode(), *HOSTILE, b"\0good"]
    together = serve(text=tf.constant(texts))
    assert together["entity"][0, 0] == together["entity"][1, 0] == b"good"
    assert (together["start"][:2, 0].numpy() == 6).all()
    alone = serve(text=tf.constant([good]))
    np.testing.assert_allclose(together["score"][0, 0], alone["score"][0, 0])
    empty = serve(text=tf.constant([], tf.string))
    assert empty["count"].shape == (0,) and empty["entity"].shape[0] == 0


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
        placed = preprocessor.tokenize_with_places(texts)
        places = preprocessor.pack_places((placed.places,))
        shape = [tf.shape(places)[0], tf.shape(places)[1], TASK.num_outputs]
        chances = tf.random.stateless_uniform(shape, [1, 2]) ** 4
        plain = preprocessor.tokenize(texts)
        return placed.ids, plain, answer(
            {"text": texts, "places": places, "probabilities": chances}
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


def test_labels_on_first_pieces(preprocessor, tmp_path):
    rows = [
        (["unhappyly", "(caf\u00e9)", "\0", "x"], ["B-a", "O", "O", "B-b"]),
        (["good"] * 20, ["B-a"] + ["I-a"] * 19),
    ]
    part, _ = examples.read_examples([write_conll(tmp_path / "a.conll", rows)])
    encoded = pipeline.encode(
        preprocessor, examples.segments(part), with_places=True
    )
    targets = TASK.targets(part, encoded).to_list()
    # [CLS] un ##happy ##ly ( caf ##e ) x [SEP]
    assert targets[0] == [-1, 1, -1, -1, 0, -1, -1, -1, 3, -1]
    assert targets[1] == [-1, 1] + [2] * 13 + [-1]
    np.testing.assert_allclose(
        TASK.weights(TASK.targets(part, encoded), "none"), [3, 14]
    )
    perfect = np.eye(5)[np.maximum(np.concatenate(targets), 0)]
    metrics = TASK.metrics(
        part, encoded, perfect.astype(np.float32), seconds=1.0
    )
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
