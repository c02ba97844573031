"""Execute one lesson in one kernel, cell by cell, by nbclient; whatever goes wrong is a sentence at a cell."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from prune_core.lessons.exercises import check_answer
from prune_core.lessons.injecting import code_of
from prune_core.lessons.kernels import Kernel, PoolSettings
from prune_core.lessons.outputs import Shown, Trouble, shown
from prune_core.lessons.parameters import Value
from prune_core.lessons.reading import Cell, Lesson

OUT_OF_MEMORY = ("MemoryError", "can't allocate memory", "not enough memory", "Cannot allocate memory")


async def run_lesson(
    lesson: Lesson,
    values: Mapping[str, Value],
    kernel: Kernel,
    settings: PoolSettings,
    on_cell: Callable[[int, Shown], None],
) -> Trouble | None:
    """Execute all code cells with ``values``; ``on_cell`` gets each cell's index and what it gave.

    Returns what ended it early, or None. The kernel may be dead afterwards; it must not be used again.
    """
    assert kernel.client is not None
    cells = [_cell(lesson, cell) for cell in lesson.cells if cell.is_code]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = NotebookClient(notebook, coalesce_streams=True, record_timing=False, timeout=None)
    client.kc = kernel.client
    deadline = time.monotonic() + settings.seconds
    for position, cell in enumerate(c for c in lesson.cells if c.is_code):
        trouble = await _run_cell(client, position, cell, kernel, settings, deadline)
        if trouble is None and cell.role == "parameters" and values:
            notebook.cells.append(nbformat.v4.new_code_cell(code_of(values)))
            trouble = await _run_cell(client, len(notebook.cells) - 1, cell, kernel, settings, deadline)
        gave = shown(notebook.cells[position].get("outputs", []))
        on_cell(cell.index, gave)
        if trouble is not None:
            return trouble
        if (wrong := _wrong_answer(lesson, cell, gave)) != "":
            return Trouble(cell.index, wrong)
    return None


def exercise_of(lesson: Lesson, check: Cell) -> str:
    """The id of the question that a check cell belongs to: the last one above it; empty without one."""
    above = [c.exercise.id for c in lesson.cells if c.exercise is not None and c.index < check.index]
    return above[-1] if above else ""


def _cell(lesson: Lesson, cell: Cell) -> nbformat.NotebookNode:
    source = cell.source
    if cell.role == "check" and (id := exercise_of(lesson, cell)):
        source += f"\n__import__('prune_core.lessons.inside', fromlist=['answer']).answer({id!r}, globals())"
    made: nbformat.NotebookNode = nbformat.v4.new_code_cell(source, metadata={"tags": list(cell.tags)})
    return made


async def _run_cell(
    client: NotebookClient, position: int, cell: Cell, kernel: Kernel, settings: PoolSettings, deadline: float
) -> Trouble | None:
    task = asyncio.ensure_future(client.async_execute_cell(client.nb.cells[position], position))
    death = asyncio.ensure_future(kernel.dead.wait())
    try:
        await asyncio.wait({task, death}, timeout=deadline - time.monotonic(), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
            return None
        if kernel.dead.is_set():
            return _died(cell, settings)
        return Trouble(
            cell.index,
            f"The lesson was stopped after {settings.seconds} s, in this cell; smaller values need less time.",
            lasting=False,
        )
    except CellExecutionError as error:
        return Trouble(cell.index, _sentence(error, settings))
    except DeadKernelError:
        return _died(cell, settings)
    finally:
        death.cancel()
        if not task.done():
            kernel.kill()
            task.cancel()
            with contextlib.suppress(BaseException):
                await task


def _sentence(error: CellExecutionError, settings: PoolSettings) -> str:
    name, text = str(error.ename), str(error.evalue).strip()
    if any(word in f"{name}: {text}" for word in OUT_OF_MEMORY):
        return f"This cell needs more than the {settings.memory:,} MiB of memory that a lesson may take."
    return f"{name}: {text.splitlines()[0][:500]}" if text else name


def _died(cell: Cell, settings: PoolSettings) -> Trouble:
    return Trouble(
        cell.index,
        f"The kernel ended in this cell; most often it wanted more than the {settings.memory:,} MiB that it may take.",
        lasting=False,
    )


def _wrong_answer(lesson: Lesson, cell: Cell, gave: Shown) -> str:
    exercises = {e.id: e for e in lesson.exercises}
    for id, answer in gave.answers:
        if id in exercises and (wrong := check_answer(exercises[id], answer.right)):
            return wrong
    return ""
