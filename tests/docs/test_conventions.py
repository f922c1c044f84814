"""The sources keep to the size and form that CONTRIBUTING.md asks for."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOTS = ("platform", "workers", "detectors", "cli", "migrations")
SOURCES = [path for root in ROOTS for path in sorted((ROOT / root).rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
NAMELESS = {"utils", "util", "common", "helpers", "helper", "base", "misc"}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=named)
def test_a_file_is_short_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    assert path.stem not in NAMELESS
    opening = (ast.get_docstring(ast.parse(text)) or "").splitlines()
    assert opening, "no opening sentence"
    assert opening[0].rstrip().endswith((".", ":", "?")) or len(opening) > 1


# A migration lists tables and columns: splitting the list would not make it clearer.
@pytest.mark.parametrize("path", [path for path in SOURCES if path.parent.name != "versions"], ids=named)
def test_a_function_is_short(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            # A command's options are declared in its signature: only what it does counts.
            length = (node.end_lineno or node.lineno) - node.body[0].lineno + 1
            assert length <= 60, f"{node.name} has {length} lines"


@pytest.mark.parametrize("root", [*ROOTS, "tests"])
def test_roots_and_test_folders_are_no_packages(root: str) -> None:
    assert not (ROOT / root / "__init__.py").exists()
    if root == "tests":
        assert not list((ROOT / root).rglob("__init__.py"))
