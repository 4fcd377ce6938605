"""The library uses the field's names, not those it once made up."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent.parent / "bert_tf"
MODULES = {
    "adaptation", "alarms", "blocks", "cells", "checking", "findings", "fit",
    "interruption", "journal", "known", "one_step", "page", "pairs", "places",
    "plain_report", "publishing", "reading", "record_creation", "relatives",
    "seeds", "settings", "span", "splitting", "start", "stream", "subjects",
    "summary", "token", "verdict",
}  # fmt: skip
CLASSES = {
    "Alarm", "Fit", "Interruption", "Journal", "Measure", "MemoryPredictor",
    "PlacedPieces", "Predictor", "PretrainingFit", "Settings", "Span",
    "Subject", "Token", "Trained",
}  # fmt: skip
ATTRIBUTES = {
    "a_token", "alarms", "cells", "compute", "difference", "drops", "found",
    "has_parameters", "has_single_label", "hits", "known", "owners", "part",
    "parts", "piece_results", "places", "predicted", "resampled", "said",
    "truth", "tuned", "with_places",
}  # fmt: skip


def defined(tree: ast.Module):
    """Yields classes, functions, and the attributes of classes and objects."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name
            yield from (
                one.target.id
                for one in node.body
                if isinstance(one, ast.AnnAssign)
            )
        elif isinstance(node, ast.FunctionDef):
            yield node.name
            yield from (one.arg for one in node.args.kwonlyargs)
        elif isinstance(node, ast.Attribute) and isinstance(
            node.ctx, ast.Store
        ):
            yield node.attr


@pytest.mark.parametrize(
    "path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.name)
)
def test_no_name_of_our_own(path):
    assert path.stem not in MODULES
    names = set(defined(ast.parse(path.read_text(encoding="utf-8"))))
    assert not names & (CLASSES | ATTRIBUTES)
