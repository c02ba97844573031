"""``sweep``: many runs from one file, in the lab's engine or in this process."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pandas as pd
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from prune_core.cli.paper import console, pairs
from prune_core.errors import ConfigError
from prune_core.sweeping import Sweep

if TYPE_CHECKING:
    from prune_core.jobs import Estimate, Lab, SweepHandle

POLL_S = 0.5
SHOWN = 30  # members in the table; all are in the CSV


def sweep(
    file: Annotated[
        Path | None, typer.Argument(help="The sweep, in YAML or JSON: experiment, and grid or space.")
    ] = None,
    name: Annotated[str, typer.Option(help="A name for it.")] = "",
    here: Annotated[bool, typer.Option("--here", help="In this process, one after the other.")] = False,
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Validate every member, print what it would cost, and end.")
    ] = False,
    resume: Annotated[
        str, typer.Option(metavar="SWEEP", help="Go on with a sweep that was stopped; needs no file.")
    ] = "",
    csv: Annotated[Path | None, typer.Option(help="Write all results to this file.")] = None,
) -> None:
    """Run every member of the sweep in FILE, and print what came out."""
    from prune_core.jobs import Lab  # a second of imports that nothing else here needs

    if (file is None) == (not resume):
        raise ConfigError("sweep needs either FILE or --resume SWEEP, and not both.")
    lab = Lab()
    try:
        handle = _begun(lab, file, resume, name, here, dry)
        if handle is None or not _follow(handle):
            return
    finally:
        lab.close()
    results = handle.results()
    if csv is not None:
        results.to_csv(csv, index=False)
    _print(handle, results)
    if handle.status == "failed" or (results["status"] == "failed").all():
        sys.exit(1)


def _begun(lab: Lab, file: Path | None, resume: str, name: str, here: bool, dry: bool) -> SweepHandle | None:
    if file is None:
        handle = lab.sweep_handle(resume)
        if handle.record.has_ended:
            handle.resume()
        return handle
    asked = Sweep.from_yaml(file)
    found = lab.estimate(asked, here=here)
    console().print(pairs("Sweep", _words(found)))
    return None if dry else lab.sweep(asked, name=name, where="here" if here else "auto", estimate=found)


def _words(found: Estimate) -> dict[str, Any]:
    return {
        "runs": f"{found.members:,}, {found.reused:,} of which are in the store already",
        "steps": f"{found.steps:,}; {found.steps_spared:,} are spared by sharing {found.shared:,} pieces of training",
        "time": f"about {found.seconds:,.0f} s, {found.workers} at a time, by the first steps of {found.timed} of them",
    }


def _follow(handle: SweepHandle) -> bool:
    """Show how far it is until it has ended; False where the person does not want to wait."""
    try:
        _show(handle)
    except KeyboardInterrupt:
        console().print(f"\nThe sweep goes on in the engine. Follow it with: sweep --resume {handle.id}")
        return False
    return True


def _show(handle: SweepHandle) -> None:
    out = console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=out, disable=not out.is_terminal) as bar:
        task = bar.add_task(f"sweep {handle.id}", total=handle.record.total, left="")
        while True:
            now = handle.progress
            left = "" if now.seconds_left is None else f"about {now.seconds_left:,.0f} s left"
            bar.update(task, completed=now.done, left=left)
            if handle.record.has_ended:
                return
            handle.wake()  # an engine that died is started again
            time.sleep(POLL_S)


def _print(handle: SweepHandle, results: pd.DataFrame) -> None:
    record, cost = handle.record, handle.cost()
    paths = list(record.sweep.space.paths)
    table = Table("run", "status", *paths, "accuracy", "sparsity", "kept bytes", title=f"Sweep {record.id}")
    for row in results.head(SHOWN).to_dict("records"):
        table.add_row(
            row["run"], row["status"], *(_value(row[path]) for path in paths), _share(row["accuracy"]),
            _share(row["sparsity"]), "–" if pd.isna(row["kept_bytes"]) else f"{row['kept_bytes']:,.0f}",
        )  # fmt: skip
    console().print(table)
    if len(results) > SHOWN:
        console().print(f"… and {len(results) - SHOWN:,} more: --csv FILE writes all.")
    rows = {
        "status": f"{record.status}{': ' + record.reason if record.reason else ''}",
        "done": f"{record.done} of {record.total}, {record.failed} failed, {record.reused} were in the store already",
        "steps": f"{cost.steps_made:,} made; {cost.steps_shared:,} shared, {cost.steps_reused:,} in the store already, "
        f"{cost.steps_stopped:,} not made",
        "worker time": f"{cost.seconds:,.1f} s",
    }
    console().print(pairs("Cost", rows))


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _share(value: float | None) -> str:
    return "–" if value is None or pd.isna(value) else f"{value:.2%}"
