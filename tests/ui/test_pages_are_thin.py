"""Pages are short scripts that call the app's and the engine's functions: no logic of their own."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "app.py", *sorted((ROOT / "pages").glob("*.py"))]
ALLOWED = {"__future__", "streamlit", "prune_ui", "prune_core"}
MOST_LINES = 80


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_a_page_is_short_and_defines_nothing(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    tree = ast.parse(text)
    for node in ast.walk(tree):
        assert not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda), (
            f"{page.name}:{node.lineno} defines something; it belongs in prune_ui"
        )
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        for name in names:
            assert name.split(".")[0] in ALLOWED, f"{page.name}:{node.lineno} imports {name}"


def test_there_are_pages_and_app_knows_each() -> None:
    app = (ROOT / "app.py").read_text(encoding="utf-8")
    assert len(PAGES) > 1
    for page in PAGES[1:]:
        assert f"pages/{page.name}" in app, f"{page.name} is not in the navigation"


def test_only_the_app_imports_streamlit() -> None:
    for path in (ROOT / "prune_core").rglob("*.py"):
        assert "import streamlit" not in path.read_text(encoding="utf-8"), path
