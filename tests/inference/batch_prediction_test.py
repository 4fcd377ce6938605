import csv
import io

import pytest
import tensorflow as tf

from bert_tf.errors import InputError
from bert_tf.inference import batch_prediction
from bert_tf.inference.batch_prediction import PredictionWriter
from bert_tf.inference.model_files import find_version
from bert_tf.inference.saved_model_predictor import SavedModelPredictor
from bert_tf.tasks.regression import Regression
from tests.scripts import run_script


def predict(saved_model, path, **kwargs):
    file = io.StringIO()
    count = batch_prediction.predict(
        lambda: SavedModelPredictor(saved_model),
        batch_prediction.read_batches([path], **kwargs),
        file,
    )
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert count == len(rows)
    return rows


def test_rows_keep_order_ids_and_texts(saved_model, tmp_path, monkeypatch):
    monkeypatch.setattr(batch_prediction, "_ROWS_AT_A_TIME", 7)
    texts = [
        f"the film was {('good', 'bad')[i % 2]}" + " very" * (i * 3 % 5)
        for i in range(40)
    ]
    path = tmp_path / "in.csv"
    path.write_text(
        "id,text\n" + "".join(f"r{i},{text}\n" for i, text in enumerate(texts))
    )
    rows = predict(saved_model, str(path))
    assert [row["id"] for row in rows] == [f"r{i}" for i in range(40)]
    assert [row["text"] for row in rows] == texts
    assert [row["label"] for row in rows] == ["pos", "neg"] * 20
    for row in rows:
        assert row["score"] == row[f"probability_{row['label']}"]


@pytest.mark.slow
def test_arguments_go_to_the_output_file(saved_model, tmp_path):
    path = tmp_path / "out.csv"
    done = run_script(
        "predict", f"--model={saved_model}", f"--output_file={path}",
        "a good film", "a bad, poor film",
    )  # fmt: skip
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["text"], row["label"]) for row in rows] == [
        ("1", "a good film", "pos"), ("2", "a bad, poor film", "neg"),
    ]  # fmt: skip
    assert not done.stdout


def test_text_lines_are_numbered(saved_model, tmp_path):
    path = tmp_path / "in.txt"
    path.write_text("good, film\n\nbad\n")
    rows = predict(saved_model, str(path))
    assert [(row["id"], row["text"]) for row in rows] == [
        ("1", "good, film"), ("2", ""), ("3", "bad"),
    ]  # fmt: skip


def test_pairs_do_not_go_into_a_single_text_model(saved_model, tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("text_a,text_b\na,b\n")
    with pytest.raises(InputError, match="takes 1 texts per row"):
        predict(saved_model, str(path))


def test_line_breaks_in_texts_read_back(tmp_path):
    texts = ["a\rb", "a\nb", "a\r\nb", "a\r", "\n", "a, b", "a"]
    path = tmp_path / "predictions.csv"
    with open(path, "w", newline="") as file:
        writer = PredictionWriter(file, Regression(), has_pairs=False)
        writer.write(
            ids=texts,
            segments=(texts,),
            answer_rows=[(["1.0"], [])] * len(texts),
        )
    with open(path, newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["id", "text", "score"]
    assert rows == [[text, text, "1.0"] for text in texts]
    (batch,) = batch_prediction.read_batches([str(path)])
    assert batch == (texts, (texts,))
    assert path.read_bytes().endswith(b"1.0\na,a,1.0\n")


@pytest.mark.parametrize("field", ["id", "text"])
def test_a_row_without_a_field_of_the_first(tmp_path, field):
    rows = ['{"id": "1", "text": "a"}', '{"id": "2", "text": "b"}']
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join([rows[0], rows[1].replace(field, "other")]))
    with pytest.raises(InputError, match=f'jsonl, line 2: no field "{field}"'):
        list(batch_prediction.read_batches([str(path)]))


def test_a_saved_model_of_others(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path))
    with pytest.raises(InputError, match="was not exported by bert_tf"):
        SavedModelPredictor(str(tmp_path))


def test_a_saved_model_with_labels_but_no_signature(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path))
    extra = tmp_path / "assets.extra"
    extra.mkdir()
    (extra / "labels.txt").write_text("a\nb\n")
    with pytest.raises(InputError, match="was not exported by bert_tf"):
        SavedModelPredictor(str(tmp_path))


def test_newest_version(tmp_path):
    for version in ("2", "10", ".tmp"):
        (tmp_path / version).mkdir()
    assert find_version(str(tmp_path)) == str(tmp_path / "10")
    with pytest.raises(InputError, match="holds no SavedModel"):
        find_version(str(tmp_path / "2"))


def test_empty_texts_are_told(saved_model, tmp_path, caplog):
    path = tmp_path / "t.csv"
    path.write_text("id,text\na,good\nb,\nc,  \n")
    table = predict(saved_model, str(path))
    assert len(table) == 3
    assert "2 of 3 texts are empty" in caplog.text
    assert "(ids b, c)" in caplog.text


def test_no_rows_is_one_message(saved_model, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("id,text\n")
    with pytest.raises(InputError, match="there are no rows"):
        predict(saved_model, str(path))


def test_texts_of_another_script_are_told(saved_model, tmp_path, caplog):
    path = tmp_path / "t.csv"
    path.write_text("text\nхорошо\nплохо\n")
    predict(saved_model, str(path))
    assert "unknown to the model's vocabulary" in caplog.text
