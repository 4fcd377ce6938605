"""README and architecture.md name what exists, and every file."""

import pathlib
import re

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_tree_has_a_line_for_every_file():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    tree = page.split("## Files")[1].split("```")[1]
    for folder in ("bert_tf", "pipelines"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name != "__init__.py":
                assert re.search(rf"^ *{path.name} +\w", tree, re.M), path


def test_the_scripts_exist():
    for name in re.findall(r"python -m pipelines\.(\w+)", README):
        assert (ROOT / "pipelines" / f"{name}.py").exists(), name


def test_the_demo_is_what_the_readme_shows():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    name = re.search(r"^DEMO_NAME := (.+)$", makefile, re.M).group(1)
    assert re.search(r"^DEMO_FLAGS :=$", makefile, re.M)
    recipe = makefile.replace("$(BIN)/", "").replace("$(DEMO_NAME)", name)
    commands = re.findall(r"^\tpython -m (pipelines\..+)$", recipe, re.M)
    assert len(commands) == 4
    shown = README.replace("\\\n    ", "")
    for command in commands:
        assert command.split(" $(DEMO")[0] in shown
