"""Every lesson is stored as a pair: a notebook without outputs and a script to read. How they run: tests/lessons."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
LESSONS = sorted(FOLDER.glob("*.ipynb"))
PARAMETER = re.compile(r"(\w+): (int|float|str|bool) = (\S+)  # [^\[\]{}():]+ ?([\[{][^\]}]+[\]}])?( \(\w+\))?: .+")
BLOCK = re.compile(r"^```\s*lab\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def tagged(notebook: nbformat.NotebookNode, tag: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def exercises(notebook: nbformat.NotebookNode) -> list[dict[str, Any]]:
    return [yaml.safe_load(BLOCK.search(cell.source)[1]) for cell in tagged(notebook, "exercise")]


def by_stem(path: Path) -> str:
    return path.stem


# --- as they are stored ----------------------------------------------------------------------------------------------
def test_there_are_lessons_and_each_has_its_pair():
    assert len(LESSONS) >= 7
    assert {p.stem for p in LESSONS} == {p.stem for p in FOLDER.glob("*.py")}
    orders = [read(path).metadata["lab"]["order"] for path in LESSONS]
    assert orders == sorted(set(orders)), "lessons are numbered, each once, in the order of their files"


@pytest.mark.parametrize("lesson", LESSONS, ids=by_stem)
def test_a_lesson_is_stored_without_outputs_and_equals_its_script(lesson):
    notebook = read(lesson)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell for cell in code if cell.outputs or cell.execution_count] == []
    script = jupytext.read(lesson.with_suffix(".py"))
    same = [(a.cell_type, a.source) for a in notebook.cells] == [(b.cell_type, b.source) for b in script.cells]
    assert same, f"bring them together with: jupytext --sync notebooks/{lesson.name}"
    tags = [[cell.metadata.get("tags", []) for cell in side.cells] for side in (notebook, script)]
    assert tags[0] == tags[1]
    assert notebook.metadata.get("lab") == script.metadata.get("lab")


@pytest.mark.parametrize("lesson", LESSONS, ids=by_stem)
def test_a_lesson_asks_lets_predict_warns_and_names_its_sources(lesson):
    notebook = read(lesson)
    first = notebook.cells[0].source
    assert re.match(r"# \S.+\n\n\S", first) and "**The question.**" in first
    assert 10 <= notebook.metadata["lab"]["minutes"] <= 20
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    sections = ["## Predict", "## A pitfall", "## Questions", "## Further reading"]
    places = [text.find(f"\n{section}") for section in sections]
    assert min(places) > 0 and places == sorted(places), dict(zip(sections, places, strict=True))
    fences = [line for line in text.splitlines() if "$$" in line]
    assert fences and {*fences} == {"$$"}, "formulas stand on lines of their own, between lines of $$: pages need that"
    (outcome,) = [cells for cells in [[c for c in notebook.cells if "reveal" in c.metadata.get("tags", [])]] if cells]
    place = notebook.cells.index(outcome[0])
    tags = [notebook.cells[place - i].metadata.get("tags") for i in (1, 2)]
    assert tags == [["check"], ["exercise"]], "what the prediction asks for stands right below it, covered"
    kinds = [exercise["kind"] for exercise in exercises(notebook)]
    assert kinds.count("prediction") == 1 and kinds[0] == "prediction"
    assert 2 <= len(kinds) - 1 <= 4
    sources = re.findall(r"\[arXiv:(.+?)\]\(https://arxiv\.org/abs/(.+?)\)", text[places[-1] :])
    assert sources and all(shown == linked for shown, linked in sources)


@pytest.mark.parametrize("lesson", LESSONS, ids=by_stem)
def test_in_jupyter_where_no_page_compares_answers_the_last_check_shows_them(lesson):
    notebook = read(lesson)
    last = ast.parse(tagged(notebook, "check")[-1].source).body[-1]
    assert isinstance(last, ast.Expr) and ast.unparse(last).startswith("Markdown('**Answers**")
    ids = [node.value for node in ast.walk(ast.parse(tagged(notebook, "check")[-1].source)) if is_text(node)]
    assert {exercise["id"] for exercise in exercises(notebook)} <= {*ids}


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


@pytest.mark.parametrize("lesson", LESSONS, ids=by_stem)
def test_what_a_lesson_lets_one_change_is_bounded_and_used(lesson):
    notebook = read(lesson)
    (cell,) = tagged(notebook, "parameters")
    lines = [PARAMETER.fullmatch(line) for line in cell.source.splitlines()]
    assert all(lines), "name: type = value  # Label [low .. high] (unit): what it does"
    assert 2 <= len(lines) <= 5
    names = {line[1] for line in lines if line}
    others = "\n".join(c.source for c in notebook.cells if c.cell_type == "code" and c is not cell)
    tree = ast.parse(others)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    assert names <= used
    assert not names & {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id not in used}
    test = notebook.metadata["lab"]["test"]
    assert {*test} <= names
    for line in lines:
        if line and line[2] in ("int", "float"):
            low, high = (float(bound) for bound in re.match(r"\[(\S+) \.\. ([^\s,\]]+)", line[4]).groups())
            assert low <= float(line[3]) <= high and low <= float(test.get(line[1], low)) <= high
