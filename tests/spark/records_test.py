import json
import shutil

import numpy as np
import pytest

from bert_tf.config.read_options import ReadOptions
from bert_tf.data import tfrecord_writer, tfrecords
from bert_tf.errors import InputError
from bert_tf.inference import loaded_run
from bert_tf.training.train import train_files
from tests.conftest import review_rows, write_csv

pytestmark = pytest.mark.slow
pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
if shutil.which("java") is None:
    pytest.skip("Spark needs Java", allow_module_level=True)

from bert_tf.spark import records, tables  # noqa: E402


def by_spark(spark, paths, folder, vocabulary, *, shards=3) -> str:
    paths = [str(path) for path in paths]
    records.create_records(
        tables.read(spark, paths, ReadOptions(), labelled=True),
        str(folder),
        vocabulary=vocabulary,
        sequence_length=16,
        preset="tiny",
        shards=shards,
        files_read=paths,
    )
    return str(folder)


def by_one_process(paths, folder, preprocessor, *, shards=3) -> str:
    tfrecord_writer.create_records(
        [str(path) for path in paths], str(folder), preprocessor=preprocessor,
        preset="tiny", shards=shards,
    )  # fmt: skip
    return str(folder)


def contents(folder: str) -> list[bytes]:
    """The records, in any order."""
    opened = tfrecords.open_records(folder, max_seq_length=16)
    return sorted(opened.read(np.arange(len(opened.labels))))


def test_a_file_gives_the_same_bytes(spark, preprocessor, vocabulary, tmp_path):
    file = tmp_path / "a.csv"
    write_csv(file, review_rows(2500))
    ours = by_one_process([file], tmp_path / "ours", preprocessor)
    theirs = by_spark(spark, [file], tmp_path / "theirs", vocabulary)
    names = sorted(path.name for path in (tmp_path / "ours").iterdir())
    assert len(names) == 3 * 2 + 1
    assert names == sorted(
        path.name for path in (tmp_path / "theirs").iterdir()
    )
    for name in names:
        found, expected = (
            (tmp_path / folder / name).read_bytes()
            for folder in ("theirs", "ours")
        )
        assert found == expected, name
    assert contents(ours) == contents(theirs)


def test_several_files_give_the_same_set(
    spark, preprocessor, vocabulary, tiny_config, tmp_path
):
    files = []
    for i, rows in enumerate((30, 200, 5)):
        files.append(tmp_path / f"{i}.jsonl")
        files[-1].write_text(
            "".join(
                json.dumps({"text": text, "label": label}) + "\n"
                for text, label in review_rows(235)[i::3][:rows]
            )
        )
    ours = by_one_process(files, tmp_path / "ours", preprocessor)
    theirs = by_spark(spark, files, tmp_path / "theirs", vocabulary)
    assert contents(ours) == contents(theirs)
    manifests = [
        json.loads((tmp_path / name / "manifest.json").read_text())
        for name in ("ours", "theirs")
    ]
    for manifest in manifests:
        manifest.pop("shard_bytes")
        # In the order of their first row.
        manifest["labels"].sort()
    assert manifests[0] == manifests[1]


def test_training_is_the_same(
    spark, preprocessor, vocabulary, tiny_config, tmp_path
):
    file = tmp_path / "a.csv"
    write_csv(file, review_rows(120))
    runs = []
    for folder in (
        by_one_process([file], tmp_path / "ours", preprocessor),
        by_spark(spark, [file], tmp_path / "theirs", vocabulary),
    ):
        train_files(
            tiny_config(
                train_file=(folder,), validation_file=(str(file),),
                output_dir=f"{folder}_run",
            )
        )  # fmt: skip
        runs.append(loaded_run.load(f"{folder}_run").model.get_weights())
    for ours, theirs in zip(*runs, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_pairs_and_fewer_rows_than_shards(
    spark, preprocessor, vocabulary, tmp_path
):
    file = tmp_path / "p.csv"
    rows = [("good film", "bad", "x"), ("a", "b " * 30, "y")]
    write_csv(file, rows, "text_a,text_b,label")
    ours = by_one_process([file], tmp_path / "ours", preprocessor, shards=4)
    theirs = by_spark(spark, [file], tmp_path / "t", vocabulary, shards=4)
    assert contents(ours) == contents(theirs)
    assert tfrecords.open_records(theirs, max_seq_length=16).has_pairs


def test_rows_that_lack_something_are_refused(spark, vocabulary, tmp_path):
    (tmp_path / "a.csv").write_text("text,label\ngood,x\n ,y\na,b,c\nbad,\n")
    message = "1 of 4 rows cannot be read, and 2 lack a text or a label, such"
    with pytest.raises(InputError, match=message):
        by_spark(spark, [tmp_path / "a.csv"], tmp_path / "r", vocabulary)
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "x").touch()
    with pytest.raises(InputError, match="is not empty"):
        by_spark(spark, [tmp_path / "a.csv"], tmp_path / "r", vocabulary)
