import csv
import io

import pytest

from bert_tf.errors import InputError
from bert_tf.serving import stream
from bert_tf.serving.predictor import Predictor, find_version


def predict(saved_model, path, **kwargs):
    file = io.StringIO()
    count = stream.predict(
        lambda: Predictor(saved_model),
        stream.read_batches([path], **kwargs),
        file,
    )
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert count == len(rows)
    return rows


def test_rows_keep_order_ids_and_texts(saved_model, tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "_ROWS_AT_A_TIME", 7)
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
    with pytest.raises(InputError, match="takes 1 texts a row"):
        predict(saved_model, str(path))


def test_newest_version(tmp_path):
    for version in ("2", "10", ".tmp"):
        (tmp_path / version).mkdir()
    assert find_version(str(tmp_path)) == str(tmp_path / "10")
    with pytest.raises(InputError, match="holds no SavedModel"):
        find_version(str(tmp_path / "2"))
