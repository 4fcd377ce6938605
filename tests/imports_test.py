"""Imports point one way; the library reads no flags."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
# A file or folder may import from its own and from those before it.
RANKS = (
    "__init__", "quiet", "errors", "files", "labels", "run_dir", "remote",
    "config", "text", "data", "metrics", "models", "presets", "tasks",
    "inference", "serving", "spark", "evaluation", "training", "pretraining",
    "distillation", "diagnostics", "runs", "trainings", "estimators", "try_out",
    "pipelines",
)  # fmt: skip
# What imports them answers before TensorFlow is loaded.
LIGHT = (
    "bert_tf.config.distillation", "bert_tf.config.pretraining",
    "bert_tf.config.training", "bert_tf.data.examples", "bert_tf.data.splits",
    "bert_tf.inference.batch_prediction", "bert_tf.inference.model_files",
    "bert_tf.pretraining.documents", "bert_tf.pretraining.vocabulary_training",
    "bert_tf.serving.client.client", "bert_tf.serving.versions",
    "bert_tf.text.vocabulary",
)  # fmt: skip
MODULES = sorted(
    path.relative_to(ROOT)
    for folder in ("bert_tf", "pipelines")
    for path in (ROOT / folder).rglob("*.py")
)

SCRIPTS = sorted(
    path.stem
    for path in (ROOT / "pipelines").glob("*.py")
    if "run_script(main" in path.read_text()
)


def rank(parts: tuple[str, ...]) -> int:
    place = parts[1] if parts[0] == "bert_tf" and len(parts) > 1 else parts[0]
    place = "__init__" if place == "bert_tf" else place
    return RANKS.index(place)


def imported(path: pathlib.Path) -> list[tuple[str, ...]]:
    found = []
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return [tuple(name.split(".")) for name in found]


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_point_down(path):
    own = rank(path.with_suffix("").parts)
    for name in imported(path):
        if name[0] in ("bert_tf", "pipelines"):
            assert rank(name) <= own, f"{path} imports {'.'.join(name)}"


def modules_after(code: str) -> set[str]:
    """Returns what a process has imported when it has run the code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert not done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_parse_before_they_import(script):
    heavy = {"tensorflow", "keras", "pandas", "numpy", "matplotlib", "sklearn"}
    assert not heavy & modules_after(f"import pipelines.{script}")


def test_files_are_read_without_tensorflow():
    found = modules_after(f"import {', '.join(LIGHT)}")
    assert not {"tensorflow", "keras", "keras_nlp", "sklearn"} & found


def test_the_package_alone_is_light_and_quiet():
    found = modules_after("import bert_tf")
    assert not {"tensorflow", "keras", "numpy"} & found


def test_a_saved_model_is_asked_with_little_more_than_tensorflow(saved_model):
    """A third of TensorFlow's import is what Keras imports for other uses."""
    found = modules_after(
        "import contextlib, runpy, sys\n"
        f"sys.argv = ['predict', '--model={saved_model}', 'good']\n"
        "with contextlib.suppress(SystemExit): runpy.run_module("
        "'pipelines.predict', run_name='__main__', alter_sys=True)"
    )
    assert "tensorflow_text" in found
    others = {"keras_nlp", "keras_hub", "sklearn", "scipy.stats", "matplotlib"}
    assert not others & found
    assert not any(
        name.startswith(("bert_tf.training", "bert_tf.models"))
        for name in found
    )


def test_library_reads_no_flags():
    for path in MODULES:
        if path.parts[0] == "bert_tf":
            assert ("absl", "flags") not in imported(path), path


def test_files_stay_readable():
    for path in MODULES:
        lines = len((ROOT / path).read_text().splitlines())
        assert lines <= 400, f"{path} has {lines} lines"


def test_no_module_imports_itself_by_way_of_others():
    names = {
        tuple(part for part in path.with_suffix("").parts if part != "__init__")
        for path in MODULES
    }
    uses = {
        tuple(path.with_suffix("").parts): {
            name[:length]
            for name in imported(path)
            for length in range(2, len(name) + 1)
            if name[:length] in names
        }
        for path in MODULES
        if path.name != "__init__.py"
    }
    # Whoever uses nothing that is left is no part of a circle.
    while free := [name for name, used in uses.items() if not used & set(uses)]:
        for name in free:
            del uses[name]
    assert not uses
