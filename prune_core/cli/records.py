"""``runs`` and ``show``: look back at what was recorded."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, get_args

import pandas as pd
import typer
from rich.markup import escape
from rich.table import Table

from prune_core.cli.paper import console, pairs, when
from prune_core.errors import RunNotFoundError, UnknownNameError
from prune_core.events import Status

if TYPE_CHECKING:
    from prune_core.tracking import RunRecord


def runs(
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 20,
    status: Annotated[str | None, typer.Option(help="Only runs of this status.")] = None,
) -> None:
    """List the recorded runs."""
    from prune_core.tracking import Store

    known = get_args(Status)
    if status is not None and status not in known:
        raise UnknownNameError("status", status, known)
    frame = Store().runs(statuses=None if status is None else [status], limit=limit)
    if frame.empty:
        console().print("No runs yet. Start one with: run FILE --in-lab")
        return
    columns = (
        "run",
        "name",
        "status",
        "step",
        "model",
        "data",
        "clipping",
        "pruning",
        "accuracy",
        "sparsity",
        "started",
    )
    table = Table(*columns, title="Runs")
    for row in frame.to_dict("records"):
        table.add_row(
            row["id"],
            escape(row["name"]),
            row["status"],
            f"{row['step']}/{row['steps']}",
            row["model"],
            row["data"],
            f"{row['clip']} {row['threshold']:g}" if pd.notna(row["clip"]) else "–",
            f"{row['prune']} to {row['target']:.0%}" if pd.notna(row["prune"]) else "–",
            _share(row["accuracy"]),
            _share(row["sparsity"]),
            when(row["created"] if pd.isna(row["started"]) else row["started"]),
        )
    console().print(table)


def show(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The run's id, or its first characters.")],
    as_yaml: Annotated[
        bool, typer.Option("--yaml", help="Print only its experiment, ready for 'run' to do again.")
    ] = False,
) -> None:
    """Show one recorded run: how it ended, what was measured, and its settings."""
    from prune_core.tracking import Store

    store = Store()
    record = store.run(_complete(run_id, [*store.runs(limit=10_000)["id"], *(r.id for r in store.samples())]))
    if as_yaml:
        sys.stdout.write(record.experiment.to_yaml())
        return
    print_record(record)
    marks = store.marks(record.id)
    if len(marks):
        table = Table("step", "field", "value", "by", title="Changed in mid-run")
        for mark in marks.itertuples():
            table.add_row(str(mark.step), mark.field, f"{mark.value:g}", escape(mark.sender))
        console().print(table)
    console().print(pairs("Settings", record.experiment.flat()))


def _complete(start: str, ids: Iterable[str]) -> str:
    """The one id that begins with ``start``. Raises RunNotFoundError where none does or several do."""
    found = [run_id for run_id in ids if run_id.startswith(start)]
    if start in found:
        return start
    if len(found) != 1:
        several = f"{len(found)} runs begin with it; give more of the id" if found else "'runs' lists those there are"
        raise RunNotFoundError(f"There is no single run {start!r}: {several}.")
    return found[0]


def print_record(record: RunRecord) -> None:
    """How a run went and what was measured of it."""
    rows: dict[str, Any] = {
        "name": record.name or "–",
        "status": f"{record.status}: {record.reason}" if record.reason else record.status,
        "step": f"{record.step} of {record.steps}",
        "accuracy": _share(record.accuracy),
        "loss": record.loss,
        "sparsity": _share(record.sparsity),
        "started": when(record.started),
        "ended": when(record.ended),
        "attempt": record.attempt,
        "digest": record.digest,
        "MLflow": record.published or record.publishing or None,
    }
    console().print(pairs(f"Run {record.id}", rows))


def _share(value: float | None) -> str:
    return "–" if value is None or pd.isna(value) else f"{value:.2%}"
