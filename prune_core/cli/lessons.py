"""``lint-lesson``: what an author has to change before a notebook is a good lesson."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from prune_core.cli.paper import console


def lint_lesson(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Notebooks (.ipynb).")],
    run: Annotated[bool, typer.Option("--run", help="Also execute them, with their default parameters.")] = False,
) -> None:
    """Say what is wrong with a lesson; the exit code is 1 where something is."""
    from prune_core.lessons import lint_lesson as lint  # the kernels' packages take a while

    wrong = 0
    for file in files:
        seconds: list[float] = []
        found = lint(file, run=run, seconds=seconds)
        wrong += len(found)
        for finding in found:
            console().print(f"[bold]{escape(file.name)}[/], {escape(str(finding))}", soft_wrap=True)
        if not found:
            took = f", executed in {seconds[0]:.1f} s" if seconds else ""
            console().print(f"[bold]{escape(file.name)}[/]: nothing is wrong{took}.", soft_wrap=True)
    if wrong:
        raise typer.Exit(1)
