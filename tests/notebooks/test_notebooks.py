"""Every lesson runs from top to bottom, and is stored as a pair: a notebook without outputs and a script to read."""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
import yaml
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
LESSONS = sorted(FOLDER.glob("*.ipynb"))
GUIDED = [path for path in LESSONS if "lab" in nbformat.read(path, as_version=4).metadata]
FIGURE = "application/vnd.plotly.v1+json"
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
    assert len(GUIDED) >= 6
    assert {p.stem for p in LESSONS} == {p.stem for p in FOLDER.glob("*.py")}
    orders = [read(path).metadata["lab"]["order"] for path in GUIDED]
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


@pytest.mark.parametrize("lesson", GUIDED, ids=by_stem)
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
    kinds = [exercise["kind"] for exercise in exercises(notebook)]
    assert kinds.count("prediction") == 1 and kinds[0] == "prediction"
    assert 2 <= len(kinds) - 1 <= 4
    sources = re.findall(r"\[arXiv:(.+?)\]\(https://arxiv\.org/abs/(.+?)\)", text[places[-1] :])
    assert sources and all(shown == linked for shown, linked in sources)


@pytest.mark.parametrize("lesson", GUIDED, ids=by_stem)
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


# --- as they run -----------------------------------------------------------------------------------------------------
SAY = (
    "import json as _json\n"
    "print(_json.dumps({n: v for n, v in globals().items() if n.startswith(('answer_', 'why_'))}, default=float))"
)


def shortened(path: Path) -> list[nbformat.NotebookNode]:
    """The cells of a lesson with its small settings put in after its parameters, as papermill does."""
    notebook = read(path)
    cells = list(notebook.cells)
    for cell in tagged(notebook, "parameters"):
        small = "\n".join(f"{name} = {value!r}" for name, value in notebook.metadata["lab"]["test"].items())
        cells.insert(cells.index(cell) + 1, nbformat.v4.new_code_cell(small))
    return cells


@pytest.fixture(scope="module")
def executed(tmp_path_factory) -> Iterator[dict[str, list[nbformat.NotebookNode]]]:
    """The cells of every lesson after one run of all, in one kernel whose names are forgotten in between.

    The first finds a fresh kernel. A kernel for each would cost four seconds of imports more, and what else could pass
    from one to the next, loaded data say, is the lab's to keep apart.
    """
    lessons = {path.stem: shortened(path) for path in LESSONS}
    every = []
    for cells in lessons.values():
        every += [nbformat.v4.new_code_cell("%reset -f"), *cells, nbformat.v4.new_code_cell(SAY)]
        cells.append(every[-1])
    notebook = nbformat.v4.new_notebook(cells=every, metadata=read(LESSONS[0]).metadata)
    # elsewhere than in the project: where people start it, with its files in another place
    folder = tmp_path_factory.mktemp("lessons")
    environment = {**os.environ, "PRUNE_LAB_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
    client = NotebookClient(
        notebook, timeout=240, kernel_name="python3", allow_errors=True, resources={"metadata": {"path": str(folder)}}
    )
    client.execute(env=environment)
    yield lessons


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS, ids=by_stem)
def test_a_lesson_runs_from_top_to_bottom(lesson, executed):
    cells = [cell for cell in executed[lesson.stem] if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    errors = [(o.ename, o.evalue) for o in outputs if o.output_type == "error"]
    assert errors == []
    assert [o.text for o in outputs if o.get("name") == "stderr"] == [], "nothing is said but what the lesson says"
    assert [o for o in outputs if FIGURE in o.get("data", {})], "a lesson draws at least one figure"
    assert not any("nan" in text for text in texts(outputs)), "a number that is not there is not shown"


def texts(outputs: list[Any]) -> list[str]:
    return [o.data["text/markdown"] for o in outputs if "text/markdown" in o.get("data", {})]


@pytest.mark.slow
@pytest.mark.parametrize("lesson", GUIDED, ids=by_stem)
def test_every_question_has_an_answer_that_fits_it(lesson, executed):
    found = answers(executed[lesson.stem])
    for exercise in exercises(read(lesson)):
        right, why = found[f"answer_{exercise['id']}"], found[f"why_{exercise['id']}"]
        assert len(why) > 20
        if "options" in exercise:
            assert right and {*(right if isinstance(right, list) else [right])} <= {*exercise["options"]}
        else:
            values = right if isinstance(right, list) else [right]
            assert all(exercise["low"] <= value <= exercise["high"] for value in values) and values == sorted(values)
    # in Jupyter, where no page compares answers, the last check shows them
    last = [cell for cell in executed[lesson.stem] if "check" in cell.metadata.get("tags", [])][-1]
    assert texts(last.outputs)[0].startswith("**Answers**")


def answers(cells: list[nbformat.NotebookNode]) -> dict[str, Any]:
    return json.loads(cells[-1].outputs[0].text)


# what each lesson is there to show, whatever the settings: worked by hand, or a property of the method
KNOWN = {
    "02_gradient_step": {"lost": 0, "farthest": 0.1, "unit": "64 α"},
    "03_direction": {
        "second": 0.8,
        "keeps": "Clipping by the norm of all parameters together",
        "limit": "The same distance for every weight whose gradient is not zero, in the direction of its sign",
    },
    "04_exploding_gradients": {"step": 0.3},
    "05_magnitude": {"weights": 2510, "twice": 75},  # 5 % of 64·300 + 300·100 + 100·10
    "06_which_weights": {
        "first": "w₂ by magnitude, w₁ by Taylor",
        "claim": "One network and this test split cannot show it; try several seeds and test the difference",
    },
    "07_milliseconds": {"left": 1638, "amdahl": 1 / 0.46},  # a tenth of 128²
}


@pytest.mark.slow
@pytest.mark.parametrize("lesson", GUIDED, ids=by_stem)
def test_a_lesson_finds_what_is_known(lesson, executed):
    found = answers(executed[lesson.stem])
    for name, right in KNOWN[lesson.stem].items():
        assert found[f"answer_{name}"] == (right if isinstance(right, str) else pytest.approx(right))
