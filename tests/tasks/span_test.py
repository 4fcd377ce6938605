"""Answers to questions: from a SQuAD file to spans of the original context."""

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
from bert_tf.tasks.span import Span
from bert_tf.text import spans
from bert_tf.text.preprocessing import Preprocessor
from bert_tf.training.train import train
from tests.conftest import LETTERS, WORDS
from tests.serving import hermetic
from tests.serving.export_test import HOSTILE
from tests.tasks.token_test import _POOL

GOOD = WORDS[:4]
# A megabyte of one-letter words is 80,000 windows of the tiny model.
SHORTER = [text[:20_000] for text in HOSTILE]


def questions(count, longest=12):
    """What is good? The one good word of the context, where there is one."""
    generator = random.Random(6)
    found = []
    for i in range(count):
        words = generator.choices(LETTERS, k=generator.randint(2, longest))
        answers = []
        if i % 4:
            place = generator.randrange(len(words))
            words[place] = generator.choice(GOOD)
            start = len(" ".join([*words[:place], ""]))
            answers = [{"text": words[place], "answer_start": start}]
        found.append(("a good ?", " ".join(words), answers))
    return found


def write_squad(path, rows):
    paragraphs = [
        {
            "context": context,
            "qas": [
                {
                    "id": str(i), "question": question, "answers": answers,
                    "is_impossible": not answers,
                }
            ],
        }
        for i, (question, context, answers) in enumerate(rows)
    ]  # fmt: skip
    value = {"version": "v2.0", "data": [{"paragraphs": paragraphs}]}
    path.write_text(json.dumps(value), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory, preset):
    folder = tmp_path_factory.mktemp("span")
    file = write_squad(folder / "t.json", questions(240, longest=30))
    metrics = train(
        TrainConfig(
            train_file=(file,),
            output_dir=str(folder / "run"),
            preset=preset,
            task="span",
            max_seq_length=20,
            doc_stride=6,
            train_batch_size=16,
            learning_rate=3e-3,
            num_train_epochs=4,
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
    assert run[2]["eval_f1"] > 0.8
    assert run[2]["eval_f1_no_answer"] is not None
    assert (run[0] / "run" / "report.html").exists()


def test_run_and_saved_model_evaluate_alike(run, model, tmp_path):
    folder, file, _ = run
    both = [
        evaluate.evaluate(path, [file]) for path in (str(folder / "run"), model)
    ]
    np.testing.assert_allclose(
        both[0].probabilities, both[1].probabilities, atol=1e-4
    )
    assert both[0].metrics["eval_f1"] == both[1].metrics["eval_f1"]
    evaluate.write(str(tmp_path), both[1])
    assert (tmp_path / "predictions.csv").exists()


def test_answers_of_long_contexts(model):
    """The answer is far beyond the model's length."""
    context = "é " * 300 + "great " + "y " * 300
    ((cells, _),) = Predictor(model).cells((["a good ?"], [context]))
    answer, start, end, _ = cells
    assert answer == "great"
    assert context[int(start) : int(end)] == answer


@pytest.mark.slow
def test_hermetic(model, tmp_path):
    found = hermetic.answers(
        model, tmp_path, question=["a good ?"], context=["é x great y"]
    )
    assert found["answer"] == ["great"]
    assert found["start"] == [4]


def test_neighbours_and_empty_batches(model):
    serve = tf.saved_model.load(model).signatures["serving_default"]
    good = "x great y"
    contexts = [good.encode(), b"\xff\xfe" + good.encode(), *SHORTER]
    asked = ["a good ?"] * len(contexts)
    together = serve(question=tf.constant(asked), context=tf.constant(contexts))
    assert together["answer"][0] == together["answer"][1] == b"great"
    assert together["start"][:2].numpy().tolist() == [2, 2]
    alone = serve(
        question=tf.constant(asked[:1]), context=tf.constant(contexts[:1])
    )
    np.testing.assert_allclose(
        together["score"][0], alone["score"][0], atol=1e-5
    )
    # Hostile questions, too.
    backward = serve(
        question=tf.constant(HOSTILE),
        context=tf.constant([good] * len(HOSTILE)),
    )
    assert np.isfinite(backward["score"]).all()
    nothing = tf.constant([], tf.string)
    assert serve(question=nothing, context=nothing)["answer"].shape == (0,)


def test_every_answer_is_the_slice_at_its_offsets(vocabulary):
    """2,000 generated contexts, with logits that no model has to give."""
    generator = random.Random(9)
    contexts = [
        "".join(generator.choices(_POOL, k=generator.randint(0, 40)))
        for _ in range(2000)
    ]
    preprocessor = Preprocessor(vocabulary, sequence_length=24)

    @tf.function(autograph=False)
    def ask(contexts):
        asked = tf.fill(tf.shape(contexts), "a good ?")
        packed = preprocessor.pack_windows((asked, contexts), 7)
        shape = tf.concat([tf.shape(packed["token_ids"]), [2]], 0)
        logits = tf.random.stateless_normal(shape, [3, 4])
        kept = spans.best_in_windows(logits, packed["places"])
        return packed, spans.best_of_windows(
            kept, packed["owners"], contexts, threshold=1e9
        )

    packed, found = ask(tf.constant([text.encode() for text in contexts]))
    assert packed["places"].shape[:2] == packed["token_ids"].shape
    count = 0
    for row, context in enumerate(contexts):
        start, end = int(found["start"][row]), int(found["end"][row])
        answer = found["answer"].numpy()[row].decode()
        assert 0 <= start <= end <= len(context)
        assert context[start:end] == answer
        count += bool(answer)
    assert count > 1800


def test_windows_hold_every_piece(vocabulary, tmp_path):
    part, _ = examples.read_examples(
        [write_squad(tmp_path / "t.json", questions(40, longest=60))]
    )
    preprocessor = Preprocessor(vocabulary, sequence_length=16)
    encoded = pipeline.encode(preprocessor, examples.segments(part), stride=5)
    assert encoded.lengths.max() == 16
    task = Span(stride=5)
    targets = task.targets(part, encoded)
    for number, (question, context, answers) in enumerate(questions(40, 60)):
        windows = np.flatnonzero(encoded.owners == number)
        seen = set()
        for window in windows:
            start, end = encoded.row_splits[window : window + 2]
            ids = encoded.token_ids[start:end]
            assert ids[0] == preprocessor.special_ids.start
            places = encoded.places[start:end]
            seen |= {tuple(place[:2]) for place in places if place[1]}
            first, last = targets[window]
            if first:
                text = context[places[first, 0] : places[last, 1]]
                assert text == answers[0]["text"]
        assert len(seen) == len(context.split())
        # Each answer of one piece is whole in some window.
        assert bool(answers) == bool(targets[windows].any()), question


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda value: value["data"][0].pop("paragraphs"), "format of SQuAD"),
        (
            lambda value: value["data"][0]["paragraphs"][1].update(context="z"),
            "question 1: the context does not have the answer",
        ),
    ],
)
def test_faults_are_told(tmp_path, preset, change, message):
    file = tmp_path / "t.json"
    write_squad(file, questions(20))
    value = json.loads(file.read_text())
    change(value)
    file.write_text(json.dumps(value))
    with pytest.raises(InputError, match=message):
        train(
            TrainConfig(
                train_file=(str(file),), output_dir=str(tmp_path / "run"),
                preset=preset, task="span", max_seq_length=16,
            )
        )  # fmt: skip
