"""README and the pages of docs/ name what exists, and what they show works."""

import os
import pathlib
import re
import runpy
import shutil
import subprocess
import sys

import pytest

from tests.conftest import minilm_folder

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted((ROOT / "docs").glob("*.md"))


def test_the_readme_is_short():
    assert len(README.split()) <= 900


def test_the_tree_has_a_line_for_every_file():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    tree = page.split("## Files")[1].split("```")[1]
    for folder in ("bert_tf", "pipelines"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name != "__init__.py":
                assert re.search(rf"^ *{path.name} +\w", tree, re.M), path


@pytest.mark.parametrize("page", ["README.md", *(p.name for p in PAGES)])
def test_what_a_page_names_exists(page):
    path = ROOT / page if page == "README.md" else ROOT / "docs" / page
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"python -m pipelines\.(\w+)", text):
        assert (ROOT / "pipelines" / f"{name}.py").exists(), name
    scripts = (ROOT / "setup.py").read_text(encoding="utf-8")
    for name in re.findall(r"\bbert-tf-([a-z-]+)", text):
        assert f'"{name.replace("-", "_")}"' in scripts, name
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (path.parent / target).exists(), target
    for target, part in re.findall(r"\]\(([^):]*)#([^)]*)\)", text):
        other = path.parent / target if target else path
        headings = re.findall(
            r"^#+ (.+)$", other.read_text(encoding="utf-8"), re.M
        )
        ids = [
            re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
            for heading in headings
        ]
        assert part in ids, f"{target}#{part}"


def test_the_index_lists_every_page():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for page in (*PAGES, *(ROOT / "docs").glob("*.ipynb")):
        if page.name != "index.md":
            assert f"]({page.name})" in index, page.name


def test_the_api_page_is_of_these_docstrings():
    """Otherwise: .venv/bin/python docs/make_api.py."""
    made = runpy.run_path(str(ROOT / "docs" / "make_api.py"))
    assert made["page"]() == made["PAGE"].read_text(encoding="utf-8")


def test_the_demo_is_what_its_page_shows():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    name = re.search(r"^DEMO_NAME := (.+)$", makefile, re.M).group(1)
    assert re.search(r"^DEMO_FLAGS :=$", makefile, re.M)
    recipe = makefile.replace("$(BIN)/", "").replace("$(DEMO_NAME)", name)
    commands = re.findall(r"^\tpython -m (pipelines\..+)$", recipe, re.M)
    assert len(commands) == 4
    page = (ROOT / "docs" / "installation.md").read_text(encoding="utf-8")
    shown = page.replace("\\\n    ", "")
    for command in commands:
        assert command.split(" $(DEMO")[0] in shown


@pytest.mark.slow
def test_the_commands_of_the_readme(tmp_path):
    """As they stand, in a folder with docs/; the answers are those shown."""
    minilm_folder()
    blocks = re.findall(r"^```\n(.*?)^```", README, re.S | re.M)
    (commands,) = (block for block in blocks if "bert-tf-train" in block)
    first, *others = commands.splitlines()
    assert first == "source .venv/bin/activate"
    scripts = os.path.dirname(sys.executable)
    if not os.path.exists(os.path.join(scripts, "bert-tf-train")):
        pytest.skip("the package is not installed: see make demo")
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "messages.csv", tmp_path / "docs")
    done = subprocess.run(
        ["bash", "-ec", "\n".join(others)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": f"{scripts}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    (shown,) = (block for block in blocks if "Exported saved_models" in block)
    texts = [text for text in re.findall(r'"([^"]+)"', others[-1])]
    for text in texts:
        (wanted,) = re.findall(rf"^(\w+) \d\.\d+ +{text}$", shown, re.M)
        assert re.search(rf"^{wanted}\s.*{text}", done.stdout, re.M)
    assert (tmp_path / "runs" / "first" / "report.html").exists()
