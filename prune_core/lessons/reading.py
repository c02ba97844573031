"""A lesson as its file says it: title, summary, parameters, cells, exercises; and the folder that holds the lessons."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import nbformat

from prune_core.errors import ConfigError, LabError, UnknownNameError
from prune_core.lessons.exercises import Exercise, parse_exercise
from prune_core.lessons.parameters import Parameter, parse_parameters

FOLDER = "PRUNE_LAB_LESSONS"
"""Environment variable: the folder with the lessons; by default the project's own ``notebooks/``."""
MOST_BYTES = 5_000_000  # of a file without outputs; more is something else
TAGS = ("parameters", "exercise", "check", "reveal", "hide-code")
Role = Literal["text", "code", "parameters", "exercise", "check"]


@dataclass(frozen=True)
class Cell:
    """One cell. ``index`` is its place in the notebook; ``hidden`` puts its code behind a fold from the start."""

    index: int
    role: Role
    source: str
    tags: tuple[str, ...] = ()
    exercise: Exercise | None = None

    @property
    def is_code(self) -> bool:
        """Whether it is executed."""
        return self.role in ("code", "parameters", "check")


@dataclass(frozen=True)
class Lesson:
    """A notebook as a page needs it. ``test`` holds smaller parameters, for tests; ``minutes`` is 0 where unknown."""

    slug: str
    path: Path
    title: str
    summary: str
    minutes: int
    order: float
    cells: tuple[Cell, ...]
    parameters: tuple[Parameter, ...]
    test: dict[str, Any]
    content: str  # digest of all that is executed

    @property
    def exercises(self) -> tuple[Exercise, ...]:
        """All questions, in order."""
        return tuple(cell.exercise for cell in self.cells if cell.exercise is not None)

    @property
    def covered(self) -> dict[int, Exercise]:
        """Cells that show what a prediction asks for, by index: nobody sees them before they have guessed.

        Those between the prediction and its check; where there are none, those tagged ``reveal`` from there on, up to
        the next prediction.
        """
        found: dict[int, Exercise] = {}
        asked: Exercise | None = None
        between: list[int] = []
        checked = False
        for cell in self.cells:
            if cell.exercise is not None and cell.exercise.kind == "prediction":
                asked, between, checked = cell.exercise, [], False
            elif asked is None or (checked and between):
                continue
            elif cell.role == "check" and not checked:
                found |= dict.fromkeys(between, asked)
                checked = True
            elif cell.exercise is not None:
                asked = asked if checked else None  # a prediction without its check: the linter says so
            elif not checked:
                between.append(cell.index)
            elif "reveal" in cell.tags and cell.role != "check":
                found[cell.index] = asked
        return found


@dataclass(frozen=True)
class Broken:
    """A file that is no lesson yet, and why, in a sentence."""

    slug: str
    sentence: str


def read_lesson(path: Path) -> Lesson:
    """Read one notebook. Raises ConfigError with a sentence that says what is wrong with it."""
    notebook = read_notebook(path)
    cells = _cells(notebook)
    title, summary = heading(cells)
    given = [parse_parameters(cell.source) for cell in cells if cell.role == "parameters"]
    if len(given) > 1:
        raise ConfigError(f"A lesson has at most one cell tagged `parameters`, this has {len(given)}.")
    lab = notebook.metadata.get("lab", {})
    lab = lab if isinstance(lab, dict) else {}
    seen = [c.exercise.id for c in cells if c.exercise]
    if twice := next((i for i in seen if seen.count(i) > 1), ""):
        raise ConfigError(f"The exercise id {twice!r} is there twice; `answer_{twice}` can hold one answer only.")
    test = lab.get("test", {})
    return Lesson(
        slug=path.stem,
        path=path,
        title=title or path.stem.replace("_", " "),
        summary=summary,
        minutes=_whole(lab.get("minutes")),
        order=_order(lab.get("order"), path.stem),
        cells=cells,
        parameters=given[0] if given else (),
        test=dict(test) if isinstance(test, dict) else {},
        content=hashlib.sha256(json.dumps([(c.role, c.source, c.tags) for c in cells]).encode()).hexdigest(),
    )


def read_notebook(path: Path) -> nbformat.NotebookNode:
    """The file as nbformat has it. Raises ConfigError where it is no notebook."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigError(f"{path.name} is larger than {MOST_BYTES / 1e6:g} MB; store it without outputs.")
        notebook: nbformat.NotebookNode = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
        nbformat.validate(notebook)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name} cannot be read: {error}.") from None
    except ConfigError:
        raise
    except Exception as error:  # nbformat raises what its parts raise, from KeyError to jsonschema's own
        raise ConfigError(f"{path.name} is not a notebook: {str(error).splitlines()[0]}") from None
    return notebook


def heading(cells: tuple[Cell, ...]) -> tuple[str, str]:
    """Title and summary: the heading and the paragraph after it in the first cell; empty where they are missing."""
    first = cells[0].source.strip() if cells and cells[0].role == "text" else ""
    match = re.match(r"#[ \t]+(.+?)[ \t]*(?:\n|$)", first)
    if match is None:
        return "", ""
    paragraph = re.split(r"\n\s*\n", first[match.end() :].strip())[0]
    summary = " ".join(paragraph.split())
    return match[1], "" if summary.startswith(("#", "-", "```", "|")) else summary


def _cells(notebook: nbformat.NotebookNode) -> tuple[Cell, ...]:
    found: list[Cell] = []
    for index, cell in enumerate(notebook.cells):
        tags = tuple(str(t) for t in cell.metadata.get("tags", []))
        role: Role
        if cell.cell_type == "markdown":
            role = "exercise" if "exercise" in tags else "text"
        elif cell.cell_type == "code":
            role = "parameters" if "parameters" in tags else "check" if "check" in tags else "code"
        else:
            continue
        exercise = None
        if role == "exercise":
            try:
                exercise = parse_exercise(cell.source)
            except ConfigError as error:
                raise ConfigError(f"Cell {index + 1}: {error}") from None
        found.append(Cell(index, role, cell.source, tags, exercise))
    return tuple(found)


def _whole(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1000 else 0


def _order(value: Any, stem: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    number = re.match(r"\d+", stem)
    return float(number[0]) if number else 1e9


class Folder:
    """The lessons of one folder. Files that change are read again and new ones are found, without a restart."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, tuple[tuple[float, int], Lesson | Broken]] = {}
        self._lock = threading.Lock()

    def all(self) -> list[Lesson | Broken]:
        """Everything in the folder, lessons in their order and then what is broken."""
        with self._lock:
            known = {}
            for path in self._files():
                try:
                    stat = path.stat()
                except OSError:  # gone since
                    continue
                stamp = (stat.st_mtime, stat.st_size)
                old = self._known.get(path.name)
                known[path.name] = old if old is not None and old[0] == stamp else (stamp, _read(path))
            self._known = known
            found = [item for _, item in known.values()]
        return sorted(
            found, key=lambda x: (0, x.order, x.slug) if isinstance(x, Lesson) else (1, 0.0, x.slug)
        )  # what is broken stands last

    def lessons(self) -> list[Lesson]:
        """All that can be read, in order."""
        return [item for item in self.all() if isinstance(item, Lesson)]

    def get(self, slug: str) -> Lesson:
        """The lesson of that name. Raises UnknownNameError, or ConfigError where its file is broken."""
        items = {item.slug: item for item in self.all()}
        item = items.get(slug)
        if item is None:
            raise UnknownNameError("lesson", slug, items)
        if isinstance(item, Broken):
            raise ConfigError(item.sentence)
        return item

    def _files(self) -> list[Path]:
        # a link that leads out of the folder is not a file of the folder
        root = self.path.resolve()
        try:
            return [p for p in sorted(self.path.glob("*.ipynb")) if p.resolve().parent == root and p.is_file()]
        except OSError:
            return []


def folder_path() -> Path:
    """Where lessons are: PRUNE_LAB_LESSONS, or the project's ``notebooks/``."""
    if named := os.environ.get(FOLDER):
        return Path(named).expanduser().absolute()
    return Path(__file__).resolve().parents[2] / "notebooks"


@functools.lru_cache(maxsize=8)
def _folder(path: Path) -> Folder:
    return Folder(path)


def folder() -> Folder:
    """This process's view of the lessons."""
    return _folder(folder_path())


def _read(path: Path) -> Lesson | Broken:
    try:
        return read_lesson(path)
    except LabError as error:
        return Broken(path.stem, str(error))
