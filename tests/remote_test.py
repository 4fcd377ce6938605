"""Remote folders; those on a server of S3 are slow tests."""

import os
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest

import bert_tf
from bert_tf import files, remote
from bert_tf.data import tfrecord_writer, tfrecords
from bert_tf.errors import InputError, ServerError
from bert_tf.serving.export import export
from tests.conftest import review_rows, write_csv
from tests.scripts import ROOT, run_script


def lock(address: str) -> None:
    with remote.local_copy(address):
        pass


def test_a_remote_run_is_locked():
    address = "ram://locked"
    with remote.local_copy(address):
        with pytest.raises(InputError, match=r"ram://locked: another process"):
            lock(address)
    # Free again.
    lock(address)
    assert not files.exists(f"{address}/.lock")


def test_a_lock_that_nobody_holds_is_no_lock(monkeypatch):
    address = "ram://left"
    # Of a process of another machine, nobody knows.
    files.write_text(f"{address}/.lock", "elsewhere, process 1")
    with pytest.raises(InputError, match="elsewhere, process 1"):
        lock(address)
    with monkeypatch.context() as patch:
        patch.setattr(remote, "_STALE_SECONDS", -1)
        lock(address)
    # Of one that was killed here; and of one of our own number before.
    child = subprocess.Popen(["true"])
    child.wait()
    for process in (child.pid, os.getpid()):
        files.write_text(f"{address}/.lock", remote._owner(process))
        lock(address)
    files.write_text(f"{address}/.lock", remote._owner(os.getppid()))
    with pytest.raises(InputError, match="another process"):
        lock(address)


def test_a_remote_clock_that_is_ahead_hides_nothing(tmp_path):
    """What has changed here is told by the clock here."""
    file = tmp_path / "run" / "history.csv"
    file.parent.mkdir()
    file.write_text("one")
    marks = {}
    remote.push(str(file.parent), "ram://ahead", marks)
    before = file.stat().st_mtime_ns
    file.write_text("two")
    # As if the copy there were from the future.
    os.utime(file, ns=(before + 1, before + 1))
    remote.push(str(file.parent), "ram://ahead", marks)
    with files.open_file("ram://ahead/history.csv") as copy:
        assert copy.read() == "two"


def test_the_order_of_copies(tmp_path, monkeypatch):
    names = [
        "a",
        "checkpoints/latest.npz",
        "config.json",
        "metrics.json",
        "z/b",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    done = []
    for name in ("upload", "remove"):
        call = getattr(files, name)
        monkeypatch.setattr(
            files, name,
            lambda *paths, call=call, name=name: (
                done.append((name, os.path.relpath(paths[-1], "ram://order"))),
                call(*paths),
            ),
        )  # fmt: skip
    remote.push(str(tmp_path), "ram://order")
    order = [
        "a",
        "z/b",
        "config.json",
        "checkpoints/latest.npz",
        "metrics.json",
    ]
    assert done == [("upload", name) for name in order]
    done.clear()
    # Another run in its place, cut off after its first files.
    for name in ("metrics.json", "z/b"):
        (tmp_path / name).unlink()
    (tmp_path / "config.json").write_text("new")
    remote.push(str(tmp_path), "ram://order")
    assert done == [
        ("remove", "metrics.json"),
        ("remove", "checkpoints/latest.npz"),
        ("upload", "a"),
        ("upload", "config.json"),
        ("upload", "checkpoints/latest.npz"),
        ("remove", "z/b"),
    ]


def test_what_a_first_copy_left_is_no_folder():
    address = "ram://first"
    files.write_text(f"{address}/.lock", remote._owner(os.getpid()))
    files.write_text(f"{address}/labels.txt", "a")
    with remote.local_copy(address) as (folder, _):
        assert not os.path.exists(folder)
    assert files.list_files(address) == []
    files.write_text(f"{address}/labels.txt", "a")
    # Nobody worked there: it is somebody's.
    with remote.local_copy(address) as (folder, _):
        assert os.listdir(folder) == ["labels.txt"]


def test_a_disk_that_does_not_answer_loses_nothing(tmp_path, monkeypatch):
    upload, broken = files.upload, []

    def fail(source, target):
        if broken:
            raise ServerError(f"{target}: no answer")
        upload(source, target)

    monkeypatch.setattr(files, "upload", fail)
    with remote.local_copy("ram://away/run") as (folder, push):
        write(folder, "first")
        broken.append(True)
        push()
        broken.clear()
        write(folder, "second")
        push()
        assert files.exists("ram://away/run/second")
    with pytest.raises(ServerError, match="copy .* there") as caught:
        with remote.local_copy("ram://away/run") as (folder, push):
            write(folder, "third")
            broken.append(True)
    assert folder in str(caught.value)
    assert sorted(os.listdir(folder)) == ["first", "second", "third"]
    shutil.rmtree(os.path.dirname(folder))


def write(folder: str, name: str) -> None:
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "w") as file:
        file.write(name)


def test_records(tmp_path, preprocessor):
    path = write_csv(tmp_path / "rows.csv", review_rows(30))
    settings = {"preprocessor": preprocessor, "preset": "tiny", "shards": 2}
    folders = (str(tmp_path / "records"), f"memory://{tmp_path.name}/records")
    for folder in folders:
        tfrecord_writer.create_records([path], folder, **settings)
    names = files.list_files(folders[0])
    assert names == files.list_files(folders[1])
    for name in names:
        contents = []
        for folder in folders:
            with files.open_file(f"{folder}/{name}", "rb") as file:
                contents.append(file.read())
        assert contents[0] == contents[1], name
    both = [tfrecords.open_records(one, max_seq_length=16) for one in folders]
    rows = np.array([29, 3, 4])
    assert both[0].read(rows).tolist() == both[1].read(rows).tolist()
    with pytest.raises(InputError, match="is not empty"):
        tfrecord_writer.create_records([path], folders[1], **settings)


@pytest.mark.slow
def test_from_files_to_a_model_on_s3(s3, tmp_path, preset):
    """Records, run, export, predictions: as a user does, all on S3."""
    folder = f"{s3.address}{tmp_path.name}"
    for name, rows in (("a", review_rows(120)), ("b", review_rows(60))):
        path = write_csv(tmp_path / f"{name}.csv", rows)
        files.upload(path, f"{folder}/texts/{name}.csv")
    common = (f"--preset={preset}", "--max_seq_length=16")
    made = {}
    for place in (str(tmp_path), folder):
        records = f"{place}/records"
        run_script(
            "create_tfrecords", f"--input_file={place}/[a]*.csv"
            if place != folder else f"--input_file={folder}/texts/[a]*.csv",
            f"--output_dir={records}", "--num_shards=2", *common,
        )  # fmt: skip
        run_script(
            "train", f"--train_file={records}", f"--output_dir={place}/run",
            f"--validation_file={folder}/texts/b.csv", "--num_train_epochs=1",
            "--contrastive=false", *common,
        )  # fmt: skip
        with remote.downloaded(f"{place}/run") as run:
            with h5py.File(f"{run}/checkpoints/best.weights.h5") as file:
                made[place] = [
                    item[()].tobytes() for item in datasets(file)
                ]  # fmt: skip
    assert made[folder] == made[str(tmp_path)]

    done = run_script("export", f"--run_dir={folder}/run", "--name=m",
                      f"--models_dir={folder}/models")  # fmt: skip
    assert f"Exported {folder}/models/m/1" in done.stderr
    answers = f"{folder}/answers.csv"
    run_script("predict", f"--model={folder}/models/m",
               f"--input_file={folder}/texts/*.csv",
               f"--output_file={answers}")  # fmt: skip
    with files.open_file(answers) as file:
        assert len(file.readlines()) == 181
    frame = bert_tf.load(f"{folder}/models/m").predict(["the film was good"])
    assert frame["label"].tolist()[0] in ("pos", "neg")
    done = run_script("evaluate", f"--model={folder}/run",
                      f"--eval_file={folder}/texts/b.csv")  # fmt: skip
    assert "accuracy" in done.stdout


def datasets(file: h5py.File) -> list[h5py.Dataset]:
    found = []
    file.visititems(
        lambda _, item: (
            found.append(item) if isinstance(item, h5py.Dataset) else None
        )
    )
    return found


@pytest.mark.slow
def test_a_version_on_s3_is_whole_before_its_graph(s3, trained_run, tmp_path):
    models_dir = f"{s3.address}{tmp_path.name}"
    for version in (1, 2, 3, 4):
        # As an export leaves it that is killed while it copies.
        files.write_text(f"{models_dir}/m/9/variables/variables.index", "")
        before = len(s3.written())
        path = export(trained_run, name="m", models_dir=models_dir, keep=1)
        assert path == f"{models_dir}/m/{version}"
        new = [one for one in s3.written()[before:] if ".partial" not in one]
        inside = [one for one in new if one.startswith(f"{path}/")]
        assert inside[-1] == f"{path}/saved_model.pb"
        assert new[-1].startswith(f"{models_dir}/m/serving/")
        assert not any(f"/m/{version - 1}/" in one for one in new)
    # The first is the stable one; the third was the newest.
    names = files.list_files(f"{models_dir}/m")
    assert {name.split("/")[0] for name in names} == {"1", "3", "4", "serving"}


@pytest.mark.slow
def test_what_is_wrong_with_an_address_is_said_at_once(s3, tmp_path):
    """Before TensorFlow is loaded."""

    def fail(status: int, *arguments: str, **environment: str) -> str:
        code = (
            "import runpy, sys\n"
            "try: runpy.run_module('pipelines.train', run_name='__main__')\n"
            "finally: assert 'tensorflow' not in sys.modules"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, f"--output_dir={tmp_path}/run",
             *arguments],
            cwd=ROOT, capture_output=True, text=True,
            env={**os.environ, **environment},
        )  # fmt: skip
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr

    files.write_text(f"{s3.address}{tmp_path.name}.csv", "text,other\na,b\n")
    file = f"--train_file={s3.address}{tmp_path.name}.csv"
    assert "no such file" in fail(1, f"--train_file={s3.address}none.csv")
    assert "no such file" in fail(1, "--train_file=s3://none/a.csv")
    assert f"{tmp_path.name}.csv" in fail(1, file)
    assert "Could not connect" in fail(
        2, file, AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_MAX_ATTEMPTS="1"
    )
    assert "credentials" in fail(
        2, file, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY=""
    )
