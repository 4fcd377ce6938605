"""Two local processes train as one device does, and survive a loss."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import psutil
import pytest

from tests.conftest import ROOT, made_once, review_rows, write_csv
from tests.scripts import run_script

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def command(tmp_path_factory, preset):
    """30 steps; neither part divides by the batch, nor by two."""

    def make(folder):
        write_csv(folder / "train.csv", review_rows(77))
        write_csv(folder / "validation.csv", review_rows(31))

    folder = made_once(tmp_path_factory, "rows_of_workers", make)
    return [
        sys.executable, "-m", "pipelines.train",
        f"--train_file={folder}/train.csv",
        f"--validation_file={folder}/validation.csv", f"--preset={preset}",
        "--max_seq_length=16", "--train_batch_size=8", "--eval_batch_size=8",
        "--learning_rate=1e-3", "--num_train_epochs=3", "--dropout=0",
        "--metric_for_best_model=loss", "--checkpoint_seconds=0",
        # Thirty steps, which these tests are not about.
        "--contrastive=false",
    ]  # fmt: skip


def launch(command, *flags, workers=2):
    return subprocess.Popen(
        [
            sys.executable, "-m", "pipelines.launch_workers",
            f"--workers={workers}", "--", *command, *flags,
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip


def finish(process, status=0) -> str:
    told = process.communicate(timeout=300)[0]
    assert process.returncode == status, told[-3000:]
    return told


def workers_of(process) -> list[psutil.Process]:
    """Returns the workers that `launch` started, in their order."""
    try:
        children = psutil.Process(process.pid).children()
    except psutil.NoSuchProcess:
        return []
    return sorted(children, key=lambda child: child.pid)


def wait_until(condition) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def one_device(command, tmp_path_factory):
    run = str(tmp_path_factory.mktemp("one") / "run")
    run_script("train", *command[3:], f"--output_dir={run}")
    return run


@pytest.fixture(scope="module")
def two_workers(command, tmp_path_factory):
    """The uninterrupted run, once for all files that compare with it."""

    def make(folder):
        told = finish(launch(command, f"--output_dir={folder}/run"))
        assert "2 replicas on CPU, as worker 1" in told

    return str(made_once(tmp_path_factory, "two_workers", make) / "run")


def check_alike(run, other, atol):
    left, right = (
        pd.read_csv(f"{folder}/history.csv") for folder in (run, other)
    )
    np.testing.assert_allclose(left["loss"], right["loss"], atol=atol)
    np.testing.assert_allclose(left["eval_loss"], right["eval_loss"], atol=atol)
    metrics = []
    for folder in (run, other):
        with open(f"{folder}/metrics.json") as file:
            metrics.append(json.load(file))
    for key in ("eval_samples", "confusion_matrix", "labels", "best"):
        if key == "best":
            assert metrics[0][key]["epoch"] == metrics[1][key]["epoch"]
        else:
            assert metrics[0][key] == metrics[1][key]
    rows = [pd.read_csv(f"{folder}/predictions.csv") for folder in (run, other)]
    assert rows[0]["text"].equals(rows[1]["text"])
    np.testing.assert_allclose(
        rows[0]["probability_pos"], rows[1]["probability_pos"], atol=atol
    )


def test_two_workers_equal_one_device(one_device, two_workers):
    check_alike(one_device, two_workers, atol=1e-4)


def test_a_killed_and_a_paused_worker_and_restarts(
    command, two_workers, tmp_path
):
    """Paused as on a machine that hangs; the others do not wait a minute."""
    run = str(tmp_path / "run")
    process = launch(command, f"--output_dir={run}")
    checkpoint = f"{run}/checkpoints/latest.npz"
    wait_until(lambda: os.path.exists(checkpoint))
    workers_of(process)[1].kill()
    told = finish(process, status=128 + signal.SIGKILL)
    assert not os.path.exists(f"{run}/metrics.json")
    assert re.search("another worker was lost|terminated; the training", told)
    before = os.stat(checkpoint).st_mtime_ns
    process = launch(command, f"--output_dir={run}")
    wait_until(lambda: os.stat(checkpoint).st_mtime_ns > before)
    workers_of(process)[1].send_signal(signal.SIGSTOP)
    start = time.monotonic()
    told = finish(process, status=2)
    assert time.monotonic() - start < 60
    assert told.count("error: another worker was lost") == 1
    assert "Resuming the run" in told
    assert "Resuming the run" in finish(launch(command, f"--output_dir={run}"))
    check_alike(two_workers, run, atol=0)


def test_preempted_at_random_moments(command, two_workers, tmp_path, full):
    """SIGTERM or SIGKILL to a worker, again and again, whenever it comes.

    Slow: a training that is ended, 40 with --full.
    """
    run = str(tmp_path / "run")
    generator = random.Random(5)
    kills = finished = 0
    while kills < (40 if full else 1):
        if os.path.exists(f"{run}/metrics.json"):
            check_alike(two_workers, run, atol=0)
            shutil.rmtree(run)
            finished += 1
        process = launch(command, f"--output_dir={run}")
        # From before the workers know each other to the end of a training.
        time.sleep(generator.uniform(2, 25))
        for worker in workers_of(process):
            if generator.random() < 0.5:
                worker.send_signal(
                    generator.choice([signal.SIGTERM, signal.SIGKILL])
                )
        # None waits for ever for one that is gone.
        told = process.communicate(timeout=90)[0]
        ended = [signal.SIGTERM, signal.SIGKILL]
        assert process.returncode in (0, *(128 + one for one in ended)), told
        kills += process.returncode != 0
    if not os.path.exists(f"{run}/metrics.json"):
        finish(launch(command, f"--output_dir={run}"))
    check_alike(two_workers, run, atol=0)
    print(f"{kills} ended, {finished + 1} finished")


def test_workers_with_other_checkpoints_are_stopped(command, tmp_path):
    """Worker 1 sees a folder of its own, as without a shared disk."""
    script = tmp_path / "own_folder.sh"
    script.write_text(
        "case $TF_CONFIG in *'\"index\": 1'*) own=1;; *) own=0;; esac\n"
        f'exec "$@" --output_dir={tmp_path}/run$own\n'
    )
    first = subprocess.Popen(
        [*command, f"--output_dir={tmp_path}/run0"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    checkpoint = f"{tmp_path}/run0/checkpoints/latest.npz"
    wait_until(lambda: os.path.exists(checkpoint))
    # What is written aside would be renamed while it is copied.
    first.send_signal(signal.SIGSTOP)
    shutil.copytree(f"{tmp_path}/run0", f"{tmp_path}/run1")
    copied = os.stat(checkpoint).st_mtime_ns
    first.send_signal(signal.SIGCONT)
    wait_until(lambda: os.stat(checkpoint).st_mtime_ns > copied)
    first.kill()
    first.wait()
    told = finish(launch(["bash", str(script), *command]), status=2)
    assert "the workers differ in the checkpoint" in told
    assert not os.path.exists(f"{tmp_path}/run0/metrics.json")


def test_pieces_of_a_batch(command, one_device, tmp_path):
    """The rows of a batch are not known while the step is traced."""
    run = str(tmp_path / "run")
    finish(launch(command, f"--output_dir={run}", "--accumulate_steps=2"))
    check_alike(one_device, run, atol=1e-4)
