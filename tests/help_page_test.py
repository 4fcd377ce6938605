"""What scripts say of themselves, and of flags that are wrong."""

import os
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.imports_test import SCRIPTS
from tests.scripts import run_script

# Flags without a group would not be shown.
UNGROUPED = """
import importlib, sys
from absl import flags
from pipelines import help_page
importlib.import_module("pipelines." + sys.argv[1])
print([
    flag.name
    for module, declared in flags.FLAGS.flags_by_module_dict().items()
    if module.startswith("pipelines.")
    for flag in declared
    if flag.name not in help_page._group_of
])
"""


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_flag_is_shown(script):
    assert run("-c", UNGROUPED, script).stdout == "[]\n"
    done = run("-m", f"pipelines.{script}", "--help")
    assert done.returncode == 0 and not done.stderr
    assert done.stdout.startswith(f"usage: python -m pipelines.{script} ")
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_groups_required_flags_and_examples():
    shown = run("-m", "pipelines.train", "--help").stdout
    titles = re.findall(r"^(\w+) flags$", shown, re.M)
    assert titles == ["Data", "Model", "Training", "Output", "Advanced"]
    first, advanced = shown.split("Advanced flags")
    assert len(re.findall(r"^  --", first, re.M)) <= 16
    assert "  --[no]calibrate\n" in advanced
    required = re.findall(r"^  --(\w+)  \(required\)", shown, re.M)
    assert required == ["train_file", "output_dir"]
    assert "--test_file=test.csv \\\n        --output_dir" in shown
    assert "--long_text=truncate|head_tail|window  (default: truncate)" in shown


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((), "--train_file and --output_dir are needed"),
        (("--train_fil=a.csv",), "Did you mean: train_file"),
        (("--train_file=a.csv", "b.csv", "--output_dir=r"), "'b.csv' is not"),
        (("--seed=a",), "--seed=a"),
        (("--train_file=a.csv", "--output_dir=r", "--dropout=2"), "--dropout"),
    ],
)
def test_wrong_flags(arguments, words):
    done = run("-m", "pipelines.train", *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and words in done.stderr
    assert "Traceback" not in done.stderr


def test_check_data_takes_no_flag_without_effect():
    script = run_script(
        "check_data", "--train_file=a.csv", "--validation_split=0.5", status=1
    )
    assert "validation_split" in script.stderr


def test_a_reader_who_has_seen_enough():
    first = subprocess.run(
        f"{sys.executable} -m pipelines.doctor --help | head -1",
        shell=True, cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert first.stdout.startswith("usage: python -m pipelines.doctor")
    assert first.stderr == ""
    # One that is gone before the page is there.
    reading, writing = os.pipe()
    os.close(reading)
    gone = subprocess.run(
        [sys.executable, "-m", "pipelines.doctor", "--help"],
        stdout=writing, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=True,
    )  # fmt: skip
    os.close(writing)
    assert gone.stderr == ""
