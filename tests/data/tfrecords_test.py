import numpy as np
import pytest
import tensorflow as tf

from bert_tf.data import encoding, input_pipeline, tfrecord_writer, tfrecords
from bert_tf.errors import InputError
from bert_tf.text.preprocessor import Preprocessor
from bert_tf.text.vocabulary import Vocabulary
from tests.conftest import review_rows, write_csv

ROWS = [(f"{text} {'very ' * (i % 9)}", label)
        for i, (text, label) in enumerate(review_rows(41))]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory, preprocessor):
    path = tmp_path_factory.mktemp("records")
    files = [
        write_csv(path / "a.csv", ROWS[:20]),
        write_csv(path / "b.csv", ROWS[20:]),
    ]
    target = str(path / "train")
    rows = tfrecord_writer.create_records(
        files, target, preprocessor=preprocessor, preset="tiny", shards=3
    )
    assert rows == 41
    return target


@pytest.fixture(scope="module")
def records(folder, vocabulary):
    return tfrecords.open_records(folder, max_seq_length=16)


def test_the_rows_are_those_of_the_texts(records, preprocessor):
    encoded = encoding.encode(preprocessor, ([text for text, _ in ROWS],))
    assert records.lengths.tolist() == encoded.lengths.tolist()
    assert records.token_counts.tolist() == encoded.token_counts.tolist()
    assert records.class_names == ("neg", "pos")
    assert [records.class_names[i] for i in records.labels] == [
        label for _, label in ROWS
    ]
    plan = [np.array([40, 3, 17]), np.array([0, 1, 2])]
    batches = [
        list(
            input_pipeline.build_dataset(
                source, plan, batch_size=3, pad_token_id=0,
                labels=records.labels,
            ).as_numpy_iterator()
        )
        for source in (records, encoded)
    ]  # fmt: skip
    for left, right in zip(*batches, strict=True):
        for name in left:
            np.testing.assert_array_equal(left[name], right[name])


def test_any_reader_of_tfrecords_reads_them(folder, records):
    paths = sorted(tf.io.gfile.glob(f"{folder}/*.tfrecord"))
    assert len(paths) == 3
    count = 0
    for record in tf.data.TFRecordDataset(paths).as_numpy_iterator():
        features = tf.train.Example.FromString(record).features.feature
        assert features["label"].bytes_list.value[0] in (b"pos", b"neg")
        assert features["token_ids"].int64_list.value[0] == 2
        count += 1
    assert count == 41


def test_pairs(tmp_path, preprocessor, vocabulary):
    path = write_csv(
        tmp_path / "p.csv",
        [("good film", "bad", "x"), ("a", "b " * 30, "y")],
        "text_a,text_b,label",
    )
    tfrecord_writer.create_records(
        [path], str(tmp_path / "r"), preprocessor=preprocessor,
        preset="tiny", shards=2,
    )  # fmt: skip
    records = tfrecords.open_records(str(tmp_path / "r"), max_seq_length=16)
    assert records.has_pairs
    (batch,) = input_pipeline.build_dataset(
        records, [np.array([1, 0])], batch_size=2, pad_token_id=0
    )
    assert batch["padding_mask"].numpy().sum(axis=1).tolist() == [16, 6]
    second = batch["segment_ids"].numpy().sum(axis=1)
    assert second.tolist() == [16 - 3, 6 - 4]


def test_what_does_not_fit_is_refused(folder, records, vocabulary, tmp_path):
    other = Vocabulary(vocabulary.tokens, True, strip_accents=False)
    with pytest.raises(InputError, match="another vocabulary, that of tiny"):
        records.check_vocabulary(other)
    records.check_vocabulary(vocabulary)
    with pytest.raises(InputError, match="max_seq_length=16, not 32"):
        tfrecords.open_records(folder, max_seq_length=32)
    tf.io.gfile.copy(f"{folder}/manifest.json", f"{tmp_path}/manifest.json")
    with pytest.raises(InputError, match="has 0 bytes where the manifest"):
        tfrecords.open_records(str(tmp_path), max_seq_length=16)


def test_faults_leave_nothing_behind(tmp_path, preprocessor):
    path = write_csv(tmp_path / "a.csv", [("good", "x"), (" ", "y")])
    with pytest.raises(InputError, match=r'line 3: "text" is empty'):
        tfrecord_writer.create_records(
            [path], str(tmp_path / "r"), preprocessor=preprocessor,
            preset="tiny", shards=2,
        )  # fmt: skip
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.csv"]


def test_lengths_of_any_preprocessor(vocabulary, tmp_path):
    path = write_csv(tmp_path / "a.csv", ROWS)
    tfrecord_writer.create_records(
        [path], str(tmp_path / "r"), preset="tiny", shards=1,
        preprocessor=Preprocessor(vocabulary, sequence_length=5),
    )  # fmt: skip
    records = tfrecords.open_records(str(tmp_path / "r"), max_seq_length=5)
    assert records.lengths.max() == 5
    assert records.token_counts.max() > 5
