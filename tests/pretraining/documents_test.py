import json

import numpy as np
import pytest
import tensorflow as tf

from bert_tf.config.pretraining import parse_duration
from bert_tf.config.read_options import ReadOptions
from bert_tf.errors import InputError
from bert_tf.pretraining import corpus, documents
from tests.pretraining.conftest import raw_text


def test_blank_lines_end_documents(tmp_path):
    path = tmp_path / "raw.txt"
    path.write_text("One.\ntwo\n\n \nThree\n")
    (tmp_path / "more.txt").write_text("\nFour")
    found = list(documents.read_documents([str(tmp_path / "*.txt")]))
    assert found == ["Four", "One.\ntwo", "Three"]


def test_rows_are_documents(tmp_path):
    path = tmp_path / "raw.jsonl"
    rows = [{"id": 1, "body": "one\ntwo"}, {"id": 2, "body": ""}]
    path.write_text("\n".join(map(json.dumps, rows)))
    assert list(documents.read_documents([str(path)])) == ["one\ntwo"]
    with pytest.raises(InputError, match='no column "words"'):
        list(
            documents.read_documents(
                [str(path)], ReadOptions(text_column="words")
            )
        )


def test_same_documents_from_jsonl_and_tfrecords(tmp_path):
    (tmp_path / "raw.txt").write_text(raw_text(documents=5))
    expected = list(documents.read_documents([str(tmp_path / "raw.txt")]))
    rows = [json.dumps({"text": document}) for document in expected]
    (tmp_path / "raw.jsonl").write_text("\n".join(rows))
    with tf.io.TFRecordWriter(str(tmp_path / "raw.tfrecord")) as writer:
        for document in expected:
            example = tf.train.Example()
            values = example.features.feature["text"].bytes_list.value
            values.append(document.encode())
            writer.write(example.SerializeToString())
    assert len(expected) == 5
    for suffix in ("jsonl", "tfrecord"):
        path = str(tmp_path / f"raw.{suffix}")
        assert list(documents.read_documents([path])) == expected


def test_not_a_tfrecord(tmp_path):
    path = tmp_path / "raw.tfrecord"
    path.write_text("plain text, long enough to be read as a record's head")
    with pytest.raises(InputError, match="not TFRecords"):
        list(documents.read_documents([str(path)]))


def test_sentences():
    assert documents.sentences("It rose 3.5%. Why?  Nobody\nknows。是") == [
        "It rose 3.5%.", "Why?", "Nobody", "knows。", "是",
    ]  # fmt: skip


def test_held_out_share_and_equal_documents():
    def held_out(text, seed=0):
        return documents.is_held_out(text, share=0.2, seed=seed)

    chosen = [held_out(f"document {i}") for i in range(5000)]
    assert 0.18 < np.mean(chosen) < 0.22
    assert chosen != [held_out(f"document {i}", seed=1) for i in range(5000)]
    for i in range(50):
        assert held_out(f"document {i}") == held_out(f" DOCUMENT\n {i}")


def test_corpus(preprocessor):
    """16 tokens a sequence: sentences of six at most; lonely ones in two."""
    texts = ["the film was good . the plot was bad .", "a b c d", "x", " "]
    found = corpus.read_corpus(
        preprocessor, [*texts, " ".join("abcdefghijklmn")]
    )
    lengths = np.diff(found.sentence_starts)
    assert lengths.tolist() == [5, 5, 2, 2, 1, 4, 5, 5]
    assert found.sentence_counts.tolist() == [2, 2, 1, 3]
    assert found.document_lengths.tolist() == [10, 4, 1, 14]
    assert len(found.token_ids) == 29


def test_durations():
    assert parse_duration("24h") == 86400
    assert parse_duration("1h30m") == 5400
    assert parse_duration("0.5m") == 30
    for wrong in ("", "5", "h", "5 m", "0s", "1h30"):
        with pytest.raises(InputError, match="--time_budget"):
            parse_duration(wrong)
