"""``claim``: put a sentence heard about clipping and pruning on trial, in this process."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from prune_core.claims import Claim, Trial, claims, trial
from prune_core.cli.paper import console
from prune_core.registry import Registry

COLOURS = {"holds": "green", "does not hold": "red", "depends": "yellow", "not decided": "dim"}


def claim(
    name: Annotated[str, typer.Argument(help="The claim; without one all are listed.")] = "",
    seeds: Annotated[int | None, typer.Option(help="Times everything is repeated.")] = None,
    steps: Annotated[int | None, typer.Option(help="Updates of the weights in one training.")] = None,
) -> None:
    """Try the claim NAME by its rule, and print what was measured and the verdict."""
    if not name:
        table = Table("name", "claim", "runs", title="Claims")
        for entry in claims():
            table.add_row(entry.name, entry.cls.statement, str(entry.cls().experiments().total))
        console().print(table)
        return
    registry: Registry[Claim] = Claim.registry
    cls = registry[name].cls
    given: dict[str, Any] = {"seeds": seeds, "steps": steps}
    asked = cls(**{field: value for field, value in given.items() if value is not None})
    console().print(f"[bold]“{asked.statement}”[/]")
    console().print(f"Rule, fixed before looking: {asked.rule}", highlight=False)
    _print(trial(asked, progress=False))


def _print(found: Trial) -> None:
    table = Table("what", "at", "measure", "mean", "unit", "seeds")
    groups = found.table.groupby(["arm", "at", "measure", "unit"], sort=False, dropna=False)["value"]
    for (arm, at, measure, unit), values in groups:
        place = "" if at != at else f"{at:g}"
        table.add_row(str(arm), place, str(measure), f"{values.mean():.5g}", str(unit), str(values.size))
    console().print(table)
    verdict = found.verdict
    on = f" on {verdict.on}" if verdict.on else ""
    word = f"[bold {COLOURS[verdict.word]}]{verdict.word.capitalize()}{on}.[/]"
    console().print(f"{word} {verdict.sentence}", highlight=False)
