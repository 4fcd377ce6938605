"""Answers to questions: from a SQuAD file to spans of the original context."""

import json
import random

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from bert_tf.config.training import TrainConfig
from bert_tf.data import encoding, examples, label_types
from bert_tf.errors import InputError
from bert_tf.tasks import question_answering
from bert_tf.tasks.question_answering import QuestionAnswering
from bert_tf.text.preprocessor import Preprocessor
from bert_tf.training.train import train_files as train
from tests.tasks.files import questions, write_squad
from tests.tasks.token_classification_test import _POOL


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
        kept = question_answering.best_in_windows(logits, packed["offsets"])
        return packed, question_answering.best_of_windows(
            kept, packed["example_index"], contexts, threshold=1e9
        )

    packed, found = ask(tf.constant([text.encode() for text in contexts]))
    assert packed["offsets"].shape[:2] == packed["token_ids"].shape
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
    encoded = encoding.encode(preprocessor, examples.segments(part), stride=5)
    assert encoded.lengths.max() == 16
    task = QuestionAnswering(stride=5)
    targets = task.targets(part, encoded)
    for number, (question, context, answers) in enumerate(questions(40, 60)):
        windows = np.flatnonzero(encoded.example_index == number)
        seen = set()
        for window in windows:
            start, end = encoded.row_splits[window : window + 2]
            ids = encoded.token_ids[start:end]
            assert ids[0] == preprocessor.special_ids.start
            offsets = encoded.offsets[start:end]
            seen |= {tuple(place[:2]) for place in offsets if place[1]}
            first, last = targets[window]
            if first:
                text = context[offsets[first, 0] : offsets[last, 1]]
                assert text == answers[0]["text"]
        assert len(seen) == len(context.split())
        # Each answer of one piece is whole in some window.
        assert bool(answers) == bool(targets[windows].any()), question


@pytest.mark.parametrize(
    "answers",
    ["Paris", '{"text": ["Paris"], "answer_start": [0]}', "[1]"],
)
def test_answers_in_another_form_are_told(answers):
    part = pd.DataFrame(
        {
            "text": ["where ?"], "text_pair": ["Paris is far"],
            "label": [answers], "id": ["7"], "path": ["t.csv"], "line": [2],
        }
    )  # fmt: skip
    with pytest.raises(InputError, match="t.csv, question 7: the answers"):
        label_types.of_task("span").check(part, ())


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
