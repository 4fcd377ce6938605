"""Writes docs/api.md from the docstrings, with griffe2md.

.venv/bin/python docs/make_api.py
"""

import pathlib
import re

import griffe
import griffe2md

import bert_tf

PAGE = pathlib.Path(__file__).parent / "api.md"
_HEAD = """# API

What `import bert_tf` gives; [python.md](python.md) shows it at work. Made from
the docstrings by `docs/make_api.py`.
"""
_NAMES = (
    "train", "search", "load", "Model", "Run", "Report", "BertEstimator",
    "BertClassifier", "BertRegressor", "InputError",
)  # fmt: skip


def page() -> str:
    """Returns the page; types that it does not explain are no links."""
    package = griffe.load(
        "bert_tf",
        docstring_parser="google",
        docstring_options={"returns_multiple_items": False, "warnings": False},
    )
    config = griffe2md.ConfigDict(
        docstring_section_style="list",
        filters=["!^_"],
        heading_level=2,
        inherited_members=False,
        members_order="source",
        show_signature_annotations=False,
        show_root_full_path=False,
        show_object_full_path=False,
        summary=False,
    )
    parts = [
        griffe2md.render_object_docs(_object(package, name), config)
        for name in _NAMES
    ]
    text = "\n".join([_HEAD, *parts])
    text = re.sub(
        r"bert_tf\.(runs|trainings|estimators|errors)\.", "bert_tf.", text
    )
    anchors = set(re.findall(r'id="([^"]+)"', text))
    text = re.sub(
        r"\[((?:[^][]|\[[^]]*\])+)\]\(#([^)]+)\)",
        lambda link: link[0] if link[2] in anchors else link[1],
        text,
    )
    # Dtypes are no HTML.
    text = re.sub(r"<(float|int|string)>\[", r"&lt;\1&gt;[", text)
    text = text.replace("- ****", "- **\\*\\*")
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


def _object(package: griffe.Module, name: str) -> griffe.Object:
    others = {"Report": "runs", "BertEstimator": "estimators"}
    found = package[f"{(others | bert_tf._MODULES)[name]}.{name}"]
    for owner in (found, *getattr(found, "mro", list)()):
        for member in list(owner.members.values()):
            # The class says what they are.
            if member.is_attribute and not member.has_docstring:
                owner.del_member(member.name)
    return found


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
