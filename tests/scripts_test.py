"""What scripts do with faults and files, without a process for each."""

import errno
import os
import sys

import pytest

from bert_tf.errors import InputError
from pipelines import app, output


@pytest.fixture
def exit_status(monkeypatch):
    # It would change the whole process' logging.
    monkeypatch.setattr(app, "_log_plainly", lambda: None)

    def run(error):
        def main(argv):
            raise error

        return app._exit_status(main, [])

    return run


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file", "a.txt"), "a.txt: No"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left"),
    ],
)
def test_files_and_disks_are_no_bugs(exit_status, capsys, error, words):
    assert exit_status(error) == 1
    assert f"error: {words}" in capsys.readouterr().err


def test_other_faults_keep_their_trace(exit_status):
    for error in (OSError("a bug"), ValueError("a bug")):
        with pytest.raises(type(error), match="a bug"):
            exit_status(error)


def test_an_argument_that_is_not_utf_8(exit_status, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["predict", "caf\udce9"])
    assert exit_status(AssertionError("main was called")) == 1
    assert "is not UTF-8" in capsys.readouterr().err


def test_an_output_file_is_whole_or_not_there(tmp_path):
    path = str(tmp_path / "vectors.npy")
    with pytest.raises(ZeroDivisionError), output.written_aside(path) as aside:
        open(aside, "w").close()
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == []
    with output.written_aside(path) as aside:
        open(aside, "w").close()
    assert os.listdir(tmp_path) == ["vectors.npy"]
    missing = str(tmp_path / "missing" / "vectors.npy")
    for wrong in (missing, str(tmp_path)):
        with pytest.raises(InputError, match="--output_file="):
            with output.written_aside(wrong):
                raise AssertionError("it goes on")
