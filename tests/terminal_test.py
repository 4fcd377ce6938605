"""What a person sees of a script: no noise, a bar, lines in a log file."""

import fcntl
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time

import pytest

from bert_tf import quiet
from bert_tf.training.progress import Progress
from tests.conftest import ROOT, review_rows, write_csv

NOISE = re.compile(r"\.cc:\d+\]|InitializeLog|oneDNN|cuda", re.I)


def without_log_level() -> dict:
    """The environment without what conftest.py put there."""
    return {
        key: value
        for key, value in os.environ.items()
        if key != "TF_CPP_MIN_LOG_LEVEL"
    }


def tokenize(preset, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.tokenize", f"--preset={preset}",
         "--pair", *arguments, "good", "bad"],
        cwd=ROOT, capture_output=True, text=True, check=True,
        env=without_log_level(),
    )  # fmt: skip
    for token in ("[CLS]", "good", "[SEP]", "bad"):
        assert token in done.stdout
    return done.stderr


@pytest.mark.slow
def test_quiet_unless_asked(preset):
    assert not NOISE.search(tokenize(preset))
    assert NOISE.search(tokenize(preset, "--verbosity=1"))


@pytest.mark.slow
def test_what_an_exception_says_is_shown(tmp_path):
    """An import that fails tells so, noise and all."""
    (tmp_path / "tensorflow.py").write_text(
        "import sys; print('a hint', file=sys.stderr); raise OSError('broken')"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.tokenize", "a text"],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1
    assert "a hint" in done.stderr and "OSError: broken" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "verbose"),
    [
        (["--verbosity=1"], True),
        (["--verbosity", "1"], True),
        (["-v=2"], True),
        (["-v", "1", "text"], True),
        (["--verbosity=0"], False),
        (["--verbosity=-1"], False),
        (["text"], False),
        (["--verbosity"], False),
        (["--verbosity=high"], False),
    ],
)
def test_verbosity(arguments, verbose):
    assert quiet.is_verbose(arguments) == verbose


def test_an_imported_kernel_is_no_notebook():
    import ipykernel.kernelapp  # noqa: F401, PLC0415

    assert "IPython" in sys.modules
    assert not quiet.is_notebook()


def test_a_line_every_so_many_steps(tiny_config, capsys):
    progress = Progress(batch_size=8, log_steps=5)
    progress.set_params(
        {"steps": 12, "epochs": 1, "steps_before": 0, "steps_in_all": 12}
    )
    progress.on_train_begin()
    progress.on_epoch_begin(0)
    for step in range(12):
        progress.on_train_batch_end(step, {"loss": 0.5})
    lines = capsys.readouterr().err.splitlines()
    assert [re.search(r"step (\d+)/12", line).group(1) for line in lines] == [
        "5", "10", "12",
    ]  # fmt: skip
    assert all("left" in line and "texts/s" in line for line in lines)


@pytest.mark.slow
def test_keras_bar_on_a_terminal(preset, tmp_path):
    path = write_csv(tmp_path / "train.csv", review_rows(60))
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.train", f"--train_file={path}",
         f"--preset={preset}", f"--output_dir={tmp_path / 'run'}",
         "--num_train_epochs=1", "--max_seq_length=16",
         "--train_batch_size=4", "--contrastive=false"],
        cwd=ROOT, stdin=terminal, stdout=terminal, stderr=terminal,
        env=without_log_level(),
    )  # fmt: skip
    os.close(terminal)
    seen = b""
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:
            break
        if not part:
            break
        seen += part
    os.close(main)
    assert process.wait() == 0, seen.decode()
    text = seen.decode()
    assert "Epoch 1/1" in text
    # The time that is left, while it is drawn.
    plain = re.sub(r"\x1b\[[\d;]*m", "", text)
    assert re.search(r" \d+/14 .*\d+s \d+m?s/step - loss", plain), plain
    assert "Next: open" in text and not NOISE.search(text)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "status"), [(b"quit\n", 0), (b"\x04", 0), (b"\x03", 130)]
)
def test_texts_that_are_typed(saved_model, key, status):
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.predict", f"--model={saved_model}",
         "--interactive"],
        cwd=ROOT, stdin=terminal, stdout=terminal, stderr=terminal,
        env=without_log_level(), start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(terminal)
    seen = read_until(main, b"text> ")
    assert b"is loaded; quit or Ctrl-D ends" in seen
    # An empty line is asked again.
    os.write(main, b"\n")
    read_until(main, b"text> ")
    os.write(main, b"the film was good\n")
    shown = read_until(main, b"text> ").decode()
    assert "pos\t" in shown and "others: neg" in shown and "words:" in shown
    # Python loses a Ctrl-C that comes while readline draws its prompt: a person
    # presses again.
    for _ in range(5 if key == b"\x03" else 1):
        time.sleep(1)
        os.write(main, key)
        if ends_within(process, seconds=10):
            break
    rest = read_until(main, None)
    os.close(main)
    assert process.wait() == status
    assert b"Traceback" not in rest and b"error" not in rest


def ends_within(process: subprocess.Popen, *, seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def read_until(main: int, end: bytes | None) -> bytes:
    """Reads a terminal to these bytes; None: until nobody writes to it."""
    seen = b""
    while end is None or not seen.endswith(end):
        assert select.select([main], [], [], 120)[0], seen.decode()
        try:
            part = os.read(main, 65536)
        except OSError:
            part = b""
        if not part:
            assert end is None, seen.decode()
            break
        seen += part
    return seen
