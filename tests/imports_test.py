"""Imports point one way; the library reads no flags."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent.parent
# A package may import from its own rank and the ranks before it.
RANKS = (
    {"__init__", "errors", "settings", "config", "labels", "run_dir"},
    {"text"},
    {"data"},
    {"metrics"},
    {"models", "tasks"},
    {"serving"},
    {"evaluation"},
    {"training", "doctor"},
    {"pretraining"},
    {"pipelines"},
)
MODULES = sorted(
    path.relative_to(ROOT)
    for folder in ("bert_tf", "pipelines")
    for path in (ROOT / folder).rglob("*.py")
)


def rank(parts: tuple[str, ...]) -> int:
    room = parts[1] if parts[0] == "bert_tf" and len(parts) > 1 else parts[0]
    room = "__init__" if room == "bert_tf" else room
    return next(i for i, rooms in enumerate(RANKS) if room in rooms)


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


def test_library_reads_no_flags():
    for path in MODULES:
        if path.parts[0] == "bert_tf":
            assert ("absl", "flags") not in imported(path), path


def test_files_stay_readable():
    for path in MODULES:
        lines = len((ROOT / path).read_text().splitlines())
        assert lines <= 300, f"{path} has {lines} lines"
