"""What is wrong with a lesson, in sentences for its author."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from prune_core.errors import ConfigError, LabError
from prune_core.lessons.executing import Executor
from prune_core.lessons.exercises import parse_exercise
from prune_core.lessons.kernels import PoolSettings
from prune_core.lessons.parameters import Parameter, check_values, parse_parameters
from prune_core.lessons.reading import TAGS, Lesson, heading, read_lesson, read_notebook

SLOW_S = 20.0
NEAR = {
    "parameter": "parameters", "exercises": "exercise", "checks": "check", "hide_code": "hide-code",
    "reveals": "reveal", "revealed": "reveal",
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One thing to change. ``cell`` counts from 1, as people do; 0 for the whole file."""

    cell: int
    sentence: str

    def __str__(self) -> str:
        return f"cell {self.cell}: {self.sentence}" if self.cell else self.sentence


def lint_lesson(path: Path, *, run: bool = False, seconds: list[float] | None = None) -> list[Finding]:
    """All that is wrong with the lesson in ``path``; empty where it is fine. ``run`` also executes it.

    ``seconds`` is filled with how long the execution took.
    """
    path = Path(path).absolute()
    if path.suffix != ".ipynb":
        return [Finding(0, f"A lesson is an .ipynb file, got {path.name}; make one with `jupytext --sync`.")]
    try:
        notebook = read_notebook(path)
    except ConfigError as error:
        return [Finding(0, str(error))]
    found = [*_head(notebook), *_metadata(notebook), *_cells(notebook), *_exercises(notebook), *_pair(path, notebook)]
    lesson = None
    try:
        lesson = read_lesson(path)
    except LabError as error:
        if not any(str(error).endswith(finding.sentence) for finding in found):
            found.append(Finding(0, str(error)))
    if lesson is not None:
        found += _covers(lesson)
        found += _test_values(lesson)
        if run:
            found += _run(lesson, seconds)
    return found


def _head(notebook: nbformat.NotebookNode) -> list[Finding]:
    from prune_core.lessons.reading import Cell

    first = notebook.cells[0] if notebook.cells else None
    if first is None or first.cell_type != "markdown":
        return [Finding(1 if first else 0, "The first cell must be markdown and begin with `# Title`.")]
    title, summary = heading((Cell(0, "text", first.source),))
    found = [] if title else [Finding(1, "The first cell must begin with `# Title`.")]
    if title and not summary:
        found.append(Finding(1, "The paragraph after the title must say in a sentence what the lesson shows."))
    return found


def _metadata(notebook: nbformat.NotebookNode) -> list[Finding]:
    lab = notebook.metadata.get("lab")
    if not isinstance(lab, dict):
        return [Finding(0, "The notebook's metadata need `lab: {minutes: 15, order: 1}`.")]
    found = []
    for name in ("minutes", "order"):
        value = lab.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1000:
            found.append(Finding(0, f"lab.{name} in the metadata must be a number from 1 to 999, got {value!r}."))
    return found


def _cells(notebook: nbformat.NotebookNode) -> list[Finding]:
    found = []
    parameters = 0
    for number, cell in enumerate(notebook.cells, 1):
        tags = [str(t) for t in cell.metadata.get("tags", [])]
        found += [
            Finding(number, f"The tag {tag!r} means nothing; did you mean {NEAR[tag]!r}?")
            for tag in tags
            if tag in NEAR
        ]
        if cell.cell_type == "code":
            if cell.get("outputs") or cell.get("execution_count"):
                found.append(Finding(number, "Outputs must not be stored; clear them before saving."))
            if "exercise" in tags:
                found.append(Finding(number, "An exercise is a markdown cell; this is code."))
        elif set(tags) & {"parameters", "check"}:
            found.append(Finding(number, f"A cell tagged {', '.join(set(tags) & set(TAGS))} must be code."))
        if cell.cell_type == "code" and "parameters" in tags:
            parameters += 1
            if parameters > 1:
                found.append(Finding(number, "There is a second cell tagged `parameters`; one is read."))
            try:
                found += _plain(number, parse_parameters(cell.source))
            except ConfigError as error:
                found.append(Finding(number, str(error)))
    return found


def _plain(number: int, parameters: tuple[Parameter, ...]) -> list[Finding]:
    found = []
    for p in parameters:
        if p.kind in ("int", "float") and p.low is None:
            found.append(
                Finding(number, f"{p.name} has no bounds; `[low .. high]` makes it a slider, and keeps it sane.")
            )
        if not p.help:
            found.append(Finding(number, f"{p.name} has no help; say after a colon what it does."))
    return found


def _exercises(notebook: nbformat.NotebookNode) -> list[Finding]:
    found, cells, checks = [], list(notebook.cells), set()
    for number, cell in enumerate(cells, 1):
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown" and "exercise" in tags:
            try:
                exercise = parse_exercise(cell.source)
            except ConfigError as error:
                found.append(Finding(number, str(error)))
                continue
            place = _check_of(cells, number, far=exercise.kind == "prediction")
            if place is None:
                found.append(
                    Finding(number, f"The exercise {exercise.id} has no check: tag the cell after it `check`.")
                )
                continue
            checks.add(place)
            found += [
                Finding(place + 1, f"The check of {exercise.id} must define {name}.")
                for name in (f"answer_{exercise.id}", f"why_{exercise.id}")
                if name not in cells[place].source
            ]
        if cell.cell_type == "code" and "check" in tags and (number - 1) not in checks:
            found.append(Finding(number, "A check must stand right after its exercise, or below a prediction's cells."))
    return found


def _check_of(cells: list[nbformat.NotebookNode], first: int, *, far: bool) -> int | None:
    """Where the check of the exercise before ``first`` stands: there, or ``far`` below it with no other between."""
    for place in range(first, len(cells) if far else min(first + 1, len(cells))):
        tags = cells[place].metadata.get("tags", [])
        if "check" in tags:
            return place
        if "exercise" in tags:
            return None
    return None


def _covers(lesson: Lesson) -> list[Finding]:
    """Predictions whose outcome stands there before anybody has guessed, and tags that cover nothing."""
    covered = lesson.covered
    found = [
        Finding(
            cell.index + 1,
            f"The prediction {cell.exercise.id} covers nothing: tag the cells that show its outcome `reveal`.",
        )
        for cell in lesson.cells
        if cell.exercise is not None and cell.exercise.kind == "prediction" and cell.exercise not in covered.values()
    ]
    found += [
        Finding(
            cell.index + 1,
            "The tag `reveal` covers nothing here: it is for cells below a prediction and its check.",
        )
        for cell in lesson.cells
        if "reveal" in cell.tags and (cell.index not in covered or cell.role in ("exercise", "check"))
    ]
    return found


def _pair(path: Path, notebook: nbformat.NotebookNode) -> list[Finding]:
    script = path.with_suffix(".py")
    sync = f"`jupytext --sync {path.name}`"
    if not script.is_file():
        return [Finding(0, f"Its text to read, {script.name}, is missing; {sync} makes it.")]
    try:
        import jupytext
    except ImportError:  # a tool of authors; visitors need none
        return []
    other = jupytext.read(script)
    same = [(a.cell_type, a.source) for a in notebook.cells] == [(b.cell_type, b.source) for b in other.cells]
    return [] if same else [Finding(0, f"{script.name} says something else; {sync} brings them together.")]


def _test_values(lesson: Lesson) -> list[Finding]:
    try:
        check_values(lesson.parameters, lesson.test)
    except ConfigError as error:
        return [Finding(0, f"lab.test in the metadata: {error}")]
    return []


def _run(lesson: Lesson, seconds: list[float] | None) -> list[Finding]:
    executor = Executor(PoolSettings(kernels=1))
    try:
        execution = executor.ask(lesson, {})
        execution.wait(3600)
        now: Any = execution.now
    finally:
        executor.close()
    if seconds is not None:
        seconds.append(now.seconds)
    if now.trouble is not None:
        return [Finding(now.trouble.cell + 1 if now.trouble.cell is not None else 0, now.trouble.sentence)]
    found = [
        Finding(0, f"The check of {exercise.id} gave no answer.")
        for exercise in lesson.exercises
        if exercise.id not in now.answers
    ]
    if now.seconds > SLOW_S:
        found.append(Finding(0, f"It takes {now.seconds:.0f} s; at most {SLOW_S:.0f} s keep visitors with it."))
    return found
