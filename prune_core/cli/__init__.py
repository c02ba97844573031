"""The command line: ``python -m prune_core run experiment.yaml``, ``runs``, ``show RUN``, ``models``, ``methods`` ...

Tables are made from the registries and the settings' own fields, so a new strategy appears by itself. A mistake is one
sentence on standard error and the exit code 2.
"""

from __future__ import annotations

import os
import sys

import typer
from rich.console import Console
from rich.markup import escape

from prune_core.cli import claim, lessons, lists, records, sweep, train
from prune_core.errors import LabError

app = typer.Typer(
    name="prune_core",
    help="Clip & Prune Lab: train, clip, prune, and read off what each costs and buys.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    train.run,
    sweep.sweep,
    claim.claim,
    records.runs,
    records.show,
    lists.models,
    lists.methods,
    lists.data,
    lists.describe,
    lessons.lint_lesson,
):
    app.command()(command)


def main(arguments: list[str] | None = None) -> None:
    """Run one command and leave with its exit code: 0, 1 for a run that failed, 2 for a mistake."""
    try:
        app(arguments)
    except LabError as error:
        _leave(str(error), 2)
    except (OSError, UnicodeDecodeError) as error:
        _leave(f"{type(error).__name__}: {error}", 2)
    except Exception as error:
        if os.environ.get("PRUNE_LAB_TRACEBACK"):
            raise
        _leave(f"{type(error).__name__}: {error} (a bug of the lab; PRUNE_LAB_TRACEBACK=1 shows where)", 1)


def _leave(sentence: str, code: int) -> None:
    Console(stderr=True, soft_wrap=True).print(f"[bold red]Error:[/] {escape(sentence)}")
    sys.exit(code)


__all__ = ["app", "main"]
