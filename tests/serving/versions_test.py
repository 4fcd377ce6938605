"""Versions appear whole, once each, whoever exports or dies meanwhile."""

import concurrent.futures
import os
import random
import signal
import subprocess
import threading
import time

import pytest

from bert_tf.errors import InputError
from bert_tf.inference import model_files
from bert_tf.inference.saved_model_predictor import SavedModelPredictor
from bert_tf.serving import versions
from tests.scripts import Script


def stage(models_dir, name="m", text="whole"):
    with versions.staging(str(models_dir), name) as staged:
        os.makedirs(staged)
        for i in range(20):
            with open(os.path.join(staged, f"file{i}"), "w") as file:
                file.write(text)
        return versions.publish(
            staged, str(models_dir), name, example={"text": ["a"]}
        )


def test_many_threads_take_different_versions(tmp_path):
    seen, stop = set(), threading.Event()

    def watch():
        folder = tmp_path / "m"
        while not stop.is_set():
            for version in model_files.versions(str(folder)):
                seen.add((version, len(os.listdir(folder / str(version)))))

    watcher = threading.Thread(target=watch)
    watcher.start()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: stage(tmp_path), range(20)))
    stop.set()
    watcher.join()
    assert sorted(paths) == sorted(
        str(tmp_path / "m" / str(v)) for v in range(1, 21)
    )
    assert {files for _, files in seen} == {20}
    assert sorted(os.listdir(tmp_path)) == [".m.lock", "m"]


def test_old_versions_are_pruned_but_not_labelled_ones(tmp_path):
    for _ in range(5):
        stage(tmp_path)
    with versions.staging(str(tmp_path), "m") as staged:
        os.makedirs(staged)
        versions.publish(
            staged, str(tmp_path), "m", example={"text": ["a"]}, keep=2
        )
    # 1 is stable, 6 is canary.
    assert model_files.versions(str(tmp_path / "m")) == [1, 5, 6]


def test_leftovers_are_deleted_when_old(tmp_path):
    old, new = tmp_path / ".m-a.partial", tmp_path / ".m-b.partial"
    old.mkdir()
    new.mkdir()
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (long_ago, long_ago))
    stage(tmp_path)
    assert not old.exists()
    assert new.exists()


@pytest.mark.parametrize("name", ["", "a/b", ".hidden"])
def test_names(name):
    with pytest.raises(InputError, match="plain folder name"):
        versions.check_name(name)


def start_export(run, models_dir):
    return Script(
        "export", f"--run_dir={run}", "--name=m", f"--models_dir={models_dir}"
    )


@pytest.mark.slow
def test_concurrent_exports_are_all_complete(trained_run, tmp_path, full):
    count = 20 if full else 2
    exports = [start_export(trained_run, tmp_path) for _ in range(count)]
    folder = str(tmp_path / "m")
    loaded = set()
    while any(export.poll() is None for export in exports):
        for version in set(model_files.versions(folder)) - loaded:
            SavedModelPredictor(os.path.join(folder, str(version)))
            loaded.add(version)
        time.sleep(0.01)
    assert [export.returncode for export in exports] == [0] * count
    assert model_files.versions(folder) == list(range(1, count + 1))
    for version in range(1, count + 1):
        predictor = SavedModelPredictor(os.path.join(folder, str(version)))
        assert predictor.probabilities((["good"],)).shape == (1, 2)


@pytest.mark.slow
def test_killed_exports_leave_no_version_that_does_not_load(
    trained_run, tmp_path, full
):
    start = time.monotonic()
    assert start_export(trained_run, tmp_path).wait() == 0
    usual = time.monotonic() - start
    folder = str(tmp_path / "m")
    generator = random.Random(3)
    killed = 0
    while killed < (50 if full else 2):
        export = start_export(trained_run, tmp_path)
        # Every other one in the last third, where the files are written.
        earliest = 0.0 if killed % 2 else 0.65
        start = time.monotonic()
        try:
            export.wait(usual * generator.uniform(earliest, 1.1))
            # The machine has less to do than it had.
            usual = time.monotonic() - start
        except subprocess.TimeoutExpired:
            export.kill()
        killed += export.wait() == -signal.SIGKILL
        names = set(os.listdir(folder)) - {"serving"}
        assert all(name.isdigit() for name in names)
        for name in names:
            SavedModelPredictor(os.path.join(folder, name)).probabilities(
                (["good"],)
            )
    print(f"{killed} exports killed, {len(names)} versions")
