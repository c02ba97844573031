"""``runs`` and ``show``: look back at what was recorded."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, get_args

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
    table = Table("run", "name", "status", "step", "model", "data", "clipping", "pruning", "started", title="Runs")
    for run_id in frame["id"]:
        record = Store().run(run_id)
        e = record.experiment
        table.add_row(
            record.id,
            escape(record.name),
            record.status,
            f"{record.step}/{record.steps}",
            e.model.registered_as,
            e.data.registered_as,
            f"{e.clip.registered_as} {e.clip.threshold:g}" if e.clip else "–",
            f"{e.prune.criterion.registered_as} to {e.prune.schedule.final:.0%}" if e.prune else "–",
            when(record.started or record.created),
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
    record = store.run(_complete(run_id, store.runs(limit=10_000)["id"]))
    if as_yaml:
        sys.stdout.write(record.experiment.to_yaml())
        return
    print_record(record)
    marks = store.marks(record.id)
    if len(marks):
        table = Table("step", "field", "value", "by", title="Changed in mid-run")
        for mark in marks:
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
        "started": when(record.started),
        "ended": when(record.ended),
        "attempt": record.attempt,
        "digest": record.digest,
        **{str(k): v for k, v in (record.summary or {}).items() if isinstance(v, (str, int, float, bool))},
    }
    console().print(pairs(f"Run {record.id}", rows))
