"""Every lesson runs from top to bottom, and is stored as a pair: a notebook without outputs and a script to read."""

from __future__ import annotations

import os
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
LESSONS = sorted(FOLDER.glob("*.ipynb"))


def test_there_are_lessons_and_each_has_its_pair():
    assert LESSONS
    assert {p.stem for p in LESSONS} == {p.stem for p in FOLDER.glob("*.py")}


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda p: p.stem)
def test_a_lesson_is_stored_without_outputs_and_equals_its_script(lesson):
    notebook = nbformat.read(lesson, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell for cell in code if cell.outputs or cell.execution_count] == []
    script = jupytext.read(lesson.with_suffix(".py"))
    same = [(a.cell_type, a.source) for a in notebook.cells] == [(b.cell_type, b.source) for b in script.cells]
    assert same, f"bring them together with: jupytext --sync notebooks/{lesson.name}"


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda p: p.stem)
def test_a_lesson_runs_from_top_to_bottom(lesson, home, tmp_path):
    notebook = nbformat.read(lesson, as_version=4)
    environment = {**os.environ, "PRUNE_LAB_HOME": str(home), "OMP_NUM_THREADS": "1"}
    # where people start it, and with its files elsewhere than in the project
    client = NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute(env=environment)
    shown = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
    assert [o for o in shown if o.output_type == "error"] == []
    assert shown, "a lesson shows something"
