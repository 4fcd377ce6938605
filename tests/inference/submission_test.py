import io
import types

import pytest

from bert_tf.config.read_options import ReadOptions
from bert_tf.errors import InputError
from bert_tf.inference import batch_prediction
from bert_tf.inference.saved_model_predictor import SavedModelPredictor
from bert_tf.inference.submission import Submission

TASK = types.SimpleNamespace(
    detail_columns=("probability_neg", "probability_pos")
)
ANSWERS = [(["pos", "0.9"], ["0.1", "0.9"]), (["neg", "0.7"], ["0.7", "0.3"])]


def sample(tmp_path, text, **kwargs):
    path = tmp_path / "sample_submission.csv"
    path.write_text(text)
    return Submission(
        str(path),
        **{"task": "classification", "class_names": ("neg", "pos"), **kwargs},
    )


def written(submission, ids=("7", "3"), answers=ANSWERS):
    submission.add(ids, answers, TASK)
    file = io.StringIO()
    submission.write(file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("text", "label_names", "expected"),
    [
        ("Id,Sentiment\n3,neg\n7,neg\n", (), "Id,Sentiment\n3,neg\n7,pos\n"),
        ("id,target\n3,0\n7,0\n", ("neg", "pos"), "id,target\n3,0\n7,1\n"),
        ("id,pos,neg\n3,0.5,0.5\n7,0.5,0.5\n", (),
         "id,pos,neg\n3,0.3,0.7\n7,0.9,0.1\n"),
        ("id,target\n3,0.5\n7,0.5\n", ("neg", "pos"),
         "id,target\n3,0.3\n7,0.9\n"),
        ("id,target\n3,neg\n7,neg\n", ("neg", "pos"),
         "id,target\n3,neg\n7,pos\n"),
    ],
)  # fmt: skip
def test_columns_ids_order_and_values_of_the_sample(
    tmp_path, text, label_names, expected
):
    submission = sample(tmp_path, text, label_names=label_names)
    assert written(submission) == expected


@pytest.mark.parametrize(
    ("text", "kwargs", "words"),
    [
        ("id,target\n3,0\n", {}, r'has "0" .* pass --label_names'),
        ("id,a,b\n3,0,0\n", {}, "one column for each class: neg, pos"),
        ("id,target\n3,0\n", {"label_names": ("neg", "good")}, "lacks pos"),
        ("id,target\n3,0\n", {"task": "token"}, "is of token"),
        ("id,target\n3,neg\n3,neg\n", {}, r"values of id twice \(3\)"),
        ("id\n3\n", {"task": "regression"}, "it needs an id and a label"),
    ],
)
def test_a_sample_that_the_answers_do_not_fit(tmp_path, text, kwargs, words):
    with pytest.raises(InputError, match=words):
        sample(tmp_path, text, **kwargs)


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (("7", "4"), r"sample_submission.csv has 1 values of id .* \(3\)"),
        (("7", "3", "5"), r"--input_file has 1 values of id .* \(5\)"),
        (("7", "7"), 'the id "7" twice'),
    ],
)
def test_other_ids_are_refused(tmp_path, ids, words):
    submission = sample(tmp_path, "id,label\n3,neg\n7,neg\n")
    with pytest.raises(InputError, match=words):
        written(submission, ids, (ANSWERS * 2)[: len(ids)])


def test_a_model_writes_it(saved_model, tmp_path):
    path = tmp_path / "test.csv"
    path.write_text("text,PhraseId\na good film,b\na bad film,a\n")
    submission = sample(tmp_path, "PhraseId,label\na,pos\nb,pos\n")
    file = io.StringIO()
    count = batch_prediction.predict(
        lambda: SavedModelPredictor(saved_model),
        batch_prediction.read_batches(
            [str(path)], ReadOptions(id_column=submission.id_column)
        ),
        file,
        submission=submission,
    )
    assert count == 2
    assert file.getvalue() == "PhraseId,label\na,neg\nb,pos\n"
