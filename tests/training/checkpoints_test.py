"""An interrupted training ends as the uninterrupted one, bit for bit."""

import collections
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time

import h5py
import keras
import numpy as np
import pandas as pd
import pytest

from bert_tf import files, remote
from bert_tf.data import input_pipeline
from bert_tf.errors import InputError, InterruptedTrainingError
from bert_tf.training import checkpoints
from bert_tf.training.checkpoints import Checkpoints, TrainingState
from bert_tf.training.preemption import PreemptionHandler
from bert_tf.training.train import train_files as train
from tests.conftest import review_rows, write_csv
from tests.scripts import Script, run_script
from tests.training.multi_worker_test import wait_until
from tests.training.train_test import without_times


class Terminate(keras.callbacks.Callback):
    """Sends SIGTERM to this process at one step of one epoch."""

    def __init__(self, epoch: int, step: int):
        super().__init__()
        self._when = (epoch, step)

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self._epoch, batch) == self._when:
            os.kill(os.getpid(), signal.SIGTERM)


class CountRows(keras.callbacks.Callback):
    """Notes epoch and step of each step that was trained."""

    def __init__(self):
        super().__init__()
        self.steps = []

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append((self._epoch, batch))


def weights(run: str) -> dict[str, np.ndarray]:
    found = {}
    with h5py.File(f"{run}/checkpoints/best.weights.h5") as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[()]})
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    return found


def history(run: str) -> pd.DataFrame:
    table = pd.read_csv(f"{run}/history.csv")
    times = [c for c in table if "runtime" in c or "per_second" in c]
    return table.drop(columns=times)


def check_equal(run: str, other: str) -> None:
    left, right = weights(run), weights(other)
    assert left.keys() == right.keys()
    for name in left:
        assert left[name].tobytes() == right[name].tobytes(), name
    pd.testing.assert_frame_equal(history(run), history(other))
    metrics = []
    for folder in (run, other):
        with open(f"{folder}/metrics.json") as file:
            metrics.append(without_times(json.load(file)))
    assert metrics[0] == metrics[1]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, preset):
    folder = tmp_path_factory.mktemp("uninterrupted")
    path = write_csv(folder / "reviews.csv", review_rows(120))
    run = str(folder / "run")
    train(settings(path, preset, run))
    return path, run


def settings(path: str, preset: str, run: str, **changes):
    from bert_tf.config.training import TrainConfig

    return TrainConfig(
        **{
            "train_file": (path,),
            "output_dir": run,
            "preset": preset,
            "max_seq_length": 16,
            "train_batch_size": 8,
            "num_train_epochs": 4,
            "validation_split": 0.25,
            "metric_for_best_model": "loss",
            "early_stopping_patience": 100,
            **changes,
        }
    )


@pytest.mark.parametrize(
    "moments",
    [
        ((0, 29), (2, 4)),
        pytest.param(
            ((0, 15), (1, 4), (2, 11), (3, 0)), marks=pytest.mark.slow
        ),
    ],
)
def test_terminated_and_started_again(uninterrupted, preset, tmp_path, moments):
    """Amid an epoch, at the last step of one, and at the first.

    The first is the contrastive one, in whose end the probe is fitted again.
    """
    path, other = uninterrupted
    run = str(tmp_path / "run")
    config = settings(path, preset, run)
    counted = CountRows()
    for epoch, step in moments:
        with pytest.raises(InterruptedTrainingError):
            train(config, callbacks=[counted, Terminate(epoch, step)])
        assert sorted(os.listdir(f"{run}/checkpoints"))[-1] == "latest.npz"
        assert counted.steps[-1] == (epoch, step)
    train(config, callbacks=[counted])
    check_equal(run, other)
    assert os.listdir(f"{run}/checkpoints") == ["best.weights.h5"]
    assert len(set(counted.steps)) == len(counted.steps) == 30 + 3 * 12
    handler = signal.getsignal(signal.SIGTERM)
    assert handler == signal.SIG_DFL


@pytest.mark.slow
@pytest.mark.parametrize("disk", ("ram", "s3"))
def test_a_remote_run_folder(disk, uninterrupted, preset, tmp_path, request):
    """TensorFlow's ram:// stands for gs://."""
    path, other = uninterrupted
    root = "ram://" if disk == "ram" else request.getfixturevalue("s3").address
    address = f"{root}{tmp_path.name}/run"
    config = settings(path, preset, address)
    with pytest.raises(InterruptedTrainingError):
        train(config, callbacks=[Terminate(1, 5)])
    assert "checkpoints/latest.npz" in files.list_files(address)
    assert "metrics.json" not in files.list_files(address)
    train(config)
    copy = str(tmp_path / "copy")
    remote.pull(address, copy)
    check_equal(copy, other)
    assert os.listdir(f"{copy}/checkpoints") == ["best.weights.h5"]
    assert not [name for name in os.listdir(copy) if "partial" in name]
    with pytest.raises(InputError, match="the run in it is finished"):
        train(config)
    with open(f"{copy}/config.json") as file:
        assert json.load(file)["output_dir"] == address
    with open(f"{copy}/report.html") as file:
        assert f"--run_dir={address} --name=run" in file.read()
    files.write_text(f"{address}/calibration.json", "{}")
    again = settings(path, preset, address, overwrite_output_dir=True)
    with pytest.raises(InterruptedTrainingError):
        train(again, callbacks=[Terminate(0, 5)])
    names = files.list_files(address)
    assert "config.json" in names
    # Of the run that was replaced nothing is left.
    assert not {"metrics.json", "calibration.json"} & set(names)


@pytest.mark.slow
def test_a_kill_amid_a_copy_to_s3(uninterrupted, preset, tmp_path, s3):
    """The checkpoint is the last that appears, the metrics come after it."""
    path, _ = uninterrupted
    address = f"{s3.address}{tmp_path.name}/run"
    flags = tmp_path / "flags.txt"
    config = settings(path, preset, address, checkpoint_seconds=0.01)
    flags.write_text(config.to_flagfile())
    # The uninterrupted run in a process like these.
    whole = str(tmp_path / "whole")
    run_script("train", f"--flagfile={flags}", f"--output_dir={whole}")
    checkpoint = f"{address}/checkpoints/latest.npz"
    kills = resumed = 0
    # While its first files are copied, a checkpoint, after that, and while the
    # results are.
    for wanted in ("labels.txt", "npz.*partial", "latest.npz$", "errors.csv"):
        start = len(s3.written())
        script = Script("train", f"--flagfile={flags}")
        while script.poll() is None and not any(
            re.search(wanted, name) for name in s3.written()[start:]
        ):
            time.sleep(0.01)
        kills += script.poll() is None
        script.kill()
        script.wait()
        resumed += "Resuming" in script.output("stderr")
        # Whole, or not there.
        if files.exists(checkpoint):
            with files.open_file(checkpoint, "rb") as file:
                assert np.load(io.BytesIO(file.read())).files
    assert kills == 4 and resumed
    done = run_script("train", f"--flagfile={flags}")
    assert done.returncode == 0, done.stderr
    copy = str(tmp_path / "copy")
    remote.pull(address, copy)
    check_equal(copy, whole)
    names = [name.removeprefix(address + "/") for name in s3.written()]
    names = [name for name in names if ".partial" not in name]
    assert names[-1] == "metrics.json"
    first = names.index("checkpoints/latest.npz")
    assert {"config.json", "vocab.txt"} <= set(names[:first])


def test_what_may_be_resumed(uninterrupted, preset, tmp_path):
    path, finished = uninterrupted
    run = str(tmp_path / "run")
    with pytest.raises(InputError, match="holds no unfinished run"):
        train(settings(path, preset, run, resume="must"))
    with pytest.raises(InputError, match="unfinished run, it is finished"):
        train(settings(path, preset, finished, resume="must"))
    with pytest.raises(InputError, match="the run in it is finished"):
        train(settings(path, preset, finished))
    with pytest.raises(InterruptedTrainingError):
        train(settings(path, preset, run), callbacks=[Terminate(0, 1)])
    with pytest.raises(InputError, match="is not empty"):
        train(settings(path, preset, run, resume="never"))
    with pytest.raises(
        InputError, match="other settings .seed: 42 there, 7 now"
    ):
        train(settings(path, preset, run, seed=7))
    copy = tmp_path / "copy.csv"
    shutil.copy(path, copy)
    with open(path, "a") as file:
        file.write("one more,pos\n")
    try:
        with pytest.raises(
            InputError, match=r"other data .train: 90 rows, \w+ there, 9"
        ):
            train(settings(path, preset, run))
    finally:
        shutil.copy(copy, path)


def test_no_library_takes_a_signal_for_its_own_fault():
    with (
        pytest.raises(InterruptedTrainingError, match="terminated; the"),
        PreemptionHandler() as preemption,
    ):
        preemption.stop_at_once()
        try:
            signal.raise_signal(signal.SIGTERM)
        except Exception:  # noqa: BLE001 - as libraries do
            pytest.fail("it was caught")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_killed_write_leaves_the_file_before(tmp_path, monkeypatch):
    variable = keras.Variable([1.0, 2.0])
    path = str(tmp_path / "latest.npz")
    saved = Checkpoints(path, [variable], every_seconds=0, writes=True)
    saved.save(TrainingState(data={}, epoch=1))
    saved.finish()
    variable.assign([3.0, 4.0])

    def die(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", die)
    with pytest.raises(KeyboardInterrupt):
        saved.save(TrainingState(data={}, epoch=2))
        saved.finish()
    assert saved.restore().epoch == 1
    assert variable.numpy().tolist() == [1.0, 2.0]


@pytest.mark.slow
def test_a_full_disk(preset, uninterrupted, tmp_path):
    """It ends with a sentence; with more space it goes on.

    Slow: three scripts.
    """
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    path, _ = uninterrupted
    command = (
        "train", f"--train_file={path}", f"--preset={preset}",
        "--max_seq_length=16", "--train_batch_size=8", "--num_train_epochs=2",
        "--contrastive=false", "--checkpoint_seconds=0",
    )  # fmt: skip
    try:
        done = run_script(*command, f"--output_dir={disk}/run", status=1)
        (told,) = re.findall("(?m)^error: .*", done.stderr)
        assert re.search(r"checkpoints/\S+: (?i:no space left) .*; when", told)
        assert "Traceback" not in done.stderr
        assert not os.listdir(f"{disk}/run/checkpoints")
        subprocess.run(
            ["mount", "-o", "remount,size=20m", str(disk)], check=True
        )
        run_script(*command, f"--output_dir={disk}/run")
        run_script(*command, f"--output_dir={tmp_path}/whole")
        check_equal(f"{disk}/run", f"{tmp_path}/whole")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_another_model_is_refused(tmp_path):
    path = str(tmp_path / "latest.npz")
    one = Checkpoints(
        path, [keras.Variable([1.0])], every_seconds=0, writes=True
    )
    one.save(TrainingState(data={}))
    one.finish()
    other = [keras.Variable([1.0, 2.0])]
    with pytest.raises(InputError, match="another model"):
        Checkpoints(path, other, every_seconds=0, writes=True).restore()


def test_every_row_once_an_epoch():
    lengths = np.arange(101) % 13
    for epoch in range(3):
        plan = input_pipeline.plan_training_epoch(
            lengths, batch_size=8, seed=1, epoch=epoch
        )
        counts = collections.Counter(np.concatenate(plan).tolist())
        assert counts == dict.fromkeys(range(101), 1)


def wait_for(path, process):
    """Or for the end of the process that is to write it."""
    wait_until(lambda: os.path.exists(path) or process.poll() is not None)


@pytest.mark.slow
def test_killed_at_random_moments(uninterrupted, preset, tmp_path, full):
    """SIGTERM or SIGKILL, again and again, until the run is finished.

    Slow: twenty trainings that are ended, 200 with --full.
    """
    path, _ = uninterrupted
    run = str(tmp_path / "run")
    command = (
        "train", f"--train_file={path}", f"--preset={preset}",
        "--max_seq_length=16", "--train_batch_size=8",
        "--validation_split=0.25", "--metric_for_best_model=loss",
        "--checkpoint_seconds=0", "--num_train_epochs=2",
    )  # fmt: skip
    # The uninterrupted run in a process like these: the tests' has two logical
    # CPUs, which share the threads otherwise.
    start = time.monotonic()
    run_script(*command, f"--output_dir={tmp_path}/whole")
    longest = time.monotonic() - start
    generator = random.Random(11)
    checkpoint = f"{run}/checkpoints/latest.npz"
    kills = runs = resumes = 0
    wanted = 200 if full else 20
    while kills < wanted or not os.path.exists(f"{run}/metrics.json"):
        if os.path.exists(f"{run}/metrics.json"):
            check_equal(run, f"{tmp_path}/whole")
            shutil.rmtree(run)
            runs += 1
        is_resumed = os.path.exists(checkpoint)
        process = Script(*command, f"--output_dir={run}")
        if kills == 0:
            # One at least amid the steps, with a state to resume from.
            wait_for(checkpoint, process)
        elif kills < wanted:
            # From the start to the end of a training of this size.
            time.sleep(generator.uniform(0.5, longest))
        if kills < wanted:
            number = generator.choice([signal.SIGTERM, signal.SIGKILL])
            process.send_signal(number)
        process.wait()
        told = process.output("stderr")
        # The second is SIGTERM before there is a training to save.
        ended = (-signal.SIGKILL, -signal.SIGTERM, 128 + signal.SIGTERM)
        assert process.returncode in (0, *ended), told
        if process.returncode == 0:
            assert ("Resuming the run" in told) == is_resumed, told
            resumes += is_resumed
        kills += process.returncode != 0
        assert kills, "it ended without a checkpoint"
    assert resumes
    check_equal(run, f"{tmp_path}/whole")
    print(f"{kills} kills, {runs + 1} runs, {resumes} of them resumed")


def test_former_names_in_a_state_are_read(tmp_path):
    path = tmp_path / "latest.npz"
    variable = keras.Variable(np.zeros(2), dtype="float32")
    checkpoints = Checkpoints(
        str(path), [variable], every_seconds=0, writes=True
    )
    checkpoints.save(TrainingState(data={}, num_correct=3.0))
    checkpoints.finish()
    with np.load(path) as file:
        arrays = dict(file)
    state = json.loads(str(arrays["state"]))
    state["hits"] = state.pop("num_correct")
    arrays["state"] = np.array(json.dumps(state))
    np.savez(path, **arrays)
    assert checkpoints.restore() == TrainingState(data={}, num_correct=3.0)


@pytest.fixture
def interruptible():
    """SIGINT as in a terminal: in the background it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
def test_ctrl_c_saves_as_a_termination_does(
    tiny_config, monkeypatch, interruptible
):
    """The first one stops at a step, the training resumes from there."""
    monkeypatch.setattr(
        os, "kill", lambda pid, number: signal.raise_signal(signal.SIGINT)
    )
    config = tiny_config(num_train_epochs=2)
    with pytest.raises(InterruptedTrainingError) as caught:
        train(config, callbacks=[Terminate(1, 2)])
    assert caught.value.exit_status == 128 + signal.SIGINT
    counter = CountRows()
    train(config, callbacks=[counter])
    assert counter.steps[0] == (1, 3)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_in_the_background_it_stays_ignored(interruptible):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with PreemptionHandler() as preemption:
        signal.raise_signal(signal.SIGINT)
        assert not preemption.requested


def test_a_second_ctrl_c_ends_at_once(caplog, interruptible):
    with caplog.at_level("INFO", "absl"), PreemptionHandler() as preemption:
        signal.raise_signal(signal.SIGINT)
        assert preemption.requested
        assert "Ctrl-C again" in caplog.text
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.slow
def test_what_a_kill_left_is_removed(tiny_config, tmp_path):
    config = tiny_config(num_train_epochs=2)
    with pytest.raises(InterruptedTrainingError):
        train(config, callbacks=[Terminate(0, 2)])
    leftovers = [
        tmp_path / "run" / ".0123abcd.history.csv",
        tmp_path / "run" / "checkpoints" / ".89abcdef.best.weights.h5",
    ]
    for path in leftovers:
        path.write_text("half a f")
    train(config)
    assert not any(path.exists() for path in leftovers)


def test_fingerprints_become_numbers():
    numbers = {
        checkpoints.as_number(one)
        for one in ({"train": "a"}, {"train": "b"}, {"validation": "a"})
    }
    assert len(numbers) == 3
    # Exact in the float64 that the workers compare.
    assert all(number == int(number) < 2**48 for number in numbers)
