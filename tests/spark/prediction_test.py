import csv
import json
import random
import shutil
import time

import pandas as pd
import pytest

from bert_tf.config.read_options import ReadOptions
from bert_tf.errors import InputError, ServerError
from bert_tf.inference import batch_prediction
from bert_tf.inference.saved_model_predictor import SavedModelPredictor
from tests.conftest import review_rows
from tests.scripts import Script, run_script
from tests.serving.hostile import SHORTER
from tests.serving.transformers_tokenizer_test import awkward

pytestmark = pytest.mark.slow
pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
if shutil.which("java") is None:
    pytest.skip("Spark needs Java", allow_module_level=True)

from pyspark.errors import PySparkException  # noqa: E402

from bert_tf.spark import prediction, session, tables  # noqa: E402
from tests.spark.cluster import Cluster  # noqa: E402

HOSTILE = [text.decode("utf-8", "ignore") for text in SHORTER]


def texts_with_hostile(count: int) -> list[str]:
    """Reviews, of which one in a hundred nobody wrote."""
    generator = random.Random(1)
    strange = [*HOSTILE, *awkward(50)]
    plain = [text for text, _ in review_rows(count)]
    for i in range(0, count, 100):
        text = generator.choice(strange)
        plain[i] = text.encode("utf-8", "ignore").decode()
    return plain


def write_jsonl(path, texts) -> str:
    lines = (
        json.dumps({"id": f"r{i}", "text": text})
        for i, text in enumerate(texts)
    )
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def write_rows(path, texts) -> str:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "text"])
        writer.writerows((f"r{i}", text) for i, text in enumerate(texts))
    return str(path)


def write_parquet(path, texts) -> str:
    ids = [f"r{i}" for i in range(len(texts))]
    pd.DataFrame({"id": ids, "text": texts}).to_parquet(path)
    return str(path)


def predicted(model: str, path: str, tmp_path) -> pd.DataFrame:
    """What pipelines.predict answers."""
    target = tmp_path / "expected.csv"
    with open(target, "w", encoding="utf-8") as file:
        batch_prediction.predict(
            lambda: SavedModelPredictor(model),
            batch_prediction.read_batches([path]),
            file,
        )
    return pd.read_csv(
        target, keep_default_na=False, dtype={"id": str, "text": str},
        lineterminator="\n",
    )  # fmt: skip


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Equal rows in any order, numbers but for what float32 rounds."""
    found, expected = (
        one.sort_values("id").reset_index(drop=True)
        for one in (found, expected)
    )
    pd.testing.assert_frame_equal(
        found, expected, atol=1e-5, rtol=0, check_dtype=False
    )


@pytest.mark.parametrize(
    ("write", "suffix"),
    [(write_jsonl, "jsonl"), (write_rows, "csv"), (write_parquet, "parquet")],
    ids=["jsonl", "csv", "parquet"],
)
def test_answers_are_those_of_predict(
    spark, write, suffix, saved_model, tmp_path
):
    texts = texts_with_hostile(3000)
    path = write(tmp_path / f"in.{suffix}", texts)
    counts = prediction.batch_predict(
        tables.read(spark, [path], ReadOptions()),
        prediction.predict_udf(saved_model),
        str(tmp_path / "out"),
    )
    assert counts == prediction.Counts(answered=3000, bad=0)
    found = pd.read_parquet(tmp_path / "out")
    assert found["score"].dtype == float
    assert dict(zip(found["id"], found["text"], strict=True)) == {
        f"r{i}": text for i, text in enumerate(texts)
    }
    assert not (tmp_path / "out_bad_rows").exists()
    assert_same(found, predicted(saved_model, path, tmp_path))


def test_every_task(spark, task_run, tmp_path):
    from bert_tf import runs

    segments = tuple([text] * 3 for text in task_run.example)
    names = ["question", "context"] if len(segments) == 2 else ["text"]
    frame = spark.createDataFrame(
        list(zip(*segments, strict=True)), [f"{name} x" for name in names]
    )
    answer = prediction.predict_udf(task_run.model)
    columns = [f"`{name} x`" for name in names]
    found = frame.select(answer(*columns).alias("answer")).select("answer.*")
    rows = [row.asDict() for row in found.collect()]
    expected = runs.Model(task_run.model).predict(
        list(zip(*segments, strict=True)) if len(names) == 2 else segments[0]
    )
    if "entities" in expected:
        expected["entities"] = expected["entities"].map(json.dumps)
        for row in rows:
            row["entities"] = json.dumps(json.loads(row["entities"]))
    for row, one in zip(rows, expected.to_dict("records"), strict=True):
        assert row == pytest.approx(one, abs=1e-5)


def test_rows_that_cannot_be_read_are_written_aside(
    spark, saved_model, tmp_path
):
    (tmp_path / "a.csv").write_text(
        'id,text\n1,good\n2,"bad, bad"\n3,a,b\n4\n5,"two\nlines"\n6,\n'
    )
    (tmp_path / "a.jsonl").write_text(
        '{"id": 1, "text": "good"}\n{"id": 2, "tex\n{"id": 3, "text": null}\n'
        '[1]\n{"id": 4, "text": 5}\n'
    )
    read = {}
    for name in ("a.csv", "a.jsonl"):
        output = str(tmp_path / f"{name}.out")
        counts = prediction.batch_predict(
            tables.read(spark, [str(tmp_path / name)], ReadOptions()),
            prediction.predict_udf(saved_model), output, form="csv",
        )  # fmt: skip
        assert counts.bad == 2
        parts = (tmp_path / f"{name}.out").glob("part-*.csv")
        rows = pd.concat(
            pd.read_csv(part, keep_default_na=False, dtype=str)
            for part in parts
        )
        read[name] = dict(zip(rows["id"], rows["text"], strict=True))
        bad = [
            json.loads(line)
            for part in (tmp_path / f"{name}.out_bad_rows").glob("part-*.json")
            for line in part.read_text().splitlines()
        ]
        assert {row["bad_row"].strip() for row in bad} == {
            "a.csv": {"3,a,b", "4"},
            "a.jsonl": {'{"id": 2, "tex', "[1]"},
        }[name]
        assert all(row["file"].endswith(name) for row in bad)
    assert read["a.csv"] == {
        "1": "good", "2": "bad, bad", "5": "two\nlines", "6": "",
    }  # fmt: skip
    assert read["a.jsonl"] == {"1": "good", "3": "", "4": "5"}


def test_how_files_are_read(spark, tmp_path):
    (tmp_path / "a.tsv").write_text("good\tfilm\nbad\tplot\n", "utf-16")
    options = ReadOptions(
        encoding="utf-16",
        header=False,
        column_names=("title", "body"),
        text_column="title,body",
    )
    table = tables.read(spark, [str(tmp_path / "a.tsv")], options)
    rows = table.frame.orderBy("id").collect()
    assert [row["text"] for row in rows] == ["good film", "bad plot"]
    assert len({row["id"] for row in rows}) == 2
    spark.createDataFrame([("x", "y")], ["premise", "hypothesis"]).write.json(
        str(tmp_path / "written")
    )
    # Spark calls JSON lines .json.
    table = tables.read(spark, [str(tmp_path / "written")], ReadOptions())
    assert table.texts == ["text", "text_pair"]
    assert table.frame.collect()[0].asDict()["text_pair"] == "y"
    table.frame.createOrReplaceTempView("somewhere")
    again = tables.read(spark, [], ReadOptions(), table="somewhere")
    assert again.frame.collect()[0]["text"] == "x"


def test_faults_of_the_input(spark, tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "a.jsonl").write_text("no\n")
    (tmp_path / "a.xlsx").write_text("")
    for path, message in (
        ("a.csv", "no column has one of the usual names for the text"),
        ("a.jsonl", "none of the first 1000 lines is a JSON object"),
        ("a.xlsx", "Spark reads no excel"),
        ("b.csv", "no such file"),
    ):
        with pytest.raises(InputError, match=message):
            tables.read(spark, [str(tmp_path / path)], ReadOptions())
    with pytest.raises(InputError, match="one format at a time"):
        paths = [str(tmp_path / "a.csv"), str(tmp_path / "a.jsonl")]
        tables.read(spark, paths, ReadOptions())


def test_faults_on_executors_are_told_in_a_line(spark, trained_task):
    model = trained_task("regression").model
    frame = spark.createDataFrame([("x",)], ["text"])
    with pytest.raises(PySparkException) as raised:
        frame.select(prediction.predict_udf(model)("text")).collect()
    fault = session.fault(raised.value)
    assert isinstance(fault, InputError)
    assert str(fault) == "the model takes 2 texts per row, and 1 are given"
    with pytest.raises(PySparkException) as raised:
        spark.read.parquet("/nowhere")
    fault = session.fault(raised.value)
    assert isinstance(fault, ServerError)
    assert "/nowhere" in str(fault)


def test_killed_executors(saved_model, tmp_path, full):
    """Each row is there once, whenever an executor is killed.

    Slow: a cluster of two workers, and a job for each kill.
    """
    texts = texts_with_hostile(8_000)
    path = write_jsonl(tmp_path / "in.jsonl", texts)
    expected = predicted(saved_model, path, tmp_path)
    generator = random.Random(2)
    cluster = Cluster(tmp_path, workers=2, cores=1)
    kills = 0
    try:
        for i in range(10 if full else 2):
            output = tmp_path / f"out{i}"
            script = Script(
                "batch_predict", f"--model={saved_model}", f"--input={path}",
                f"--output={output}", f"--master={cluster.master}",
                "--conf=spark.driver.host=127.0.0.1",
                "--conf=spark.executor.cores=1",
                "--conf=spark.executor.memory=512m",
            )  # fmt: skip
            while script.poll() is None and len(cluster.executors()) < 2:
                time.sleep(0.05)
            # From before the first row is read to when most are answered.
            time.sleep(generator.uniform(0, 10))
            for executor in cluster.executors()[:1]:
                executor.kill()
                kills += 1
            script.wait()
            assert script.returncode == 0, script.output("stderr")
            assert_same(pd.read_parquet(output), expected)
    finally:
        cluster.close()
    assert kills


def test_faults_are_told_before_spark_starts(saved_model, tmp_path):
    (tmp_path / "there").mkdir()
    model, file = f"--model={saved_model}", "--input=a.csv"
    there, new = (f"--output={tmp_path / name}" for name in ("there", "new"))
    for arguments, message in (
        ([model, there, file], "there already"),
        ([model, new], "either --input or --input_table"),
        (["--model=none", new, file], "no such"),
        ([model, new, file, "--conf=x"], "spark.NAME=VALUE"),
    ):
        done = run_script("batch_predict", *arguments, status=1)
        assert message in done.stderr
        assert "Spark" not in done.stderr.replace("Spark's", "")
