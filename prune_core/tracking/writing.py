"""What writes to the live store, statement by statement, within a transaction of the caller's."""

from __future__ import annotations

import json
import secrets
import shutil
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection, Table, bindparam, delete, func, insert, select, update

from prune_core import remote
from prune_core.errors import CheckpointError, OwnershipLostError
from prune_core.events import EvalEvent, InterventionEvent, MaskEvent
from prune_core.experiment import Experiment
from prune_core.tracking import schema
from prune_core.tracking.records import RunRecord, columns_of, number
from prune_core.tracking.thinning import superfluous
from prune_core.training import load_checkpoint

MOST_SNAPSHOTS = 60  # kept of a run: as many as a slider over its course can show
MOST_MASKS = 200
EPOCH_MS = 1_704_067_200_000  # 2024: 40 bits of milliseconds from there reach to 2058

runs, chunks, evals, marks = schema.runs, schema.chunks, schema.evals, schema.marks

_id_lock = threading.Lock()
_last_ms = 0


def new_id() -> str:
    """12 hex digits: 10 of time in milliseconds, never twice in a process, and 2 of chance."""
    global _last_ms
    with _id_lock:
        _last_ms = max(int(time.time() * 1000) - EPOCH_MS, _last_ms + 1)
        return f"{_last_ms:010x}{secrets.token_hex(1)}"


def clean(text: str, most: int) -> str:
    """One line of at most ``most`` characters that every database takes."""
    line = " ".join(str(text).replace("\0", " ").encode("utf-8", "replace").decode().split())
    return line if len(line) <= most else line[: most - 1] + "…"


def queued(experiment: Experiment, *, name: str, owner: str, priority: int, parent: str | None) -> dict[str, Any]:
    """The columns of a run that waits. Raises ConfigError for an experiment with a part that is not registered."""
    return {
        **columns_of(experiment),
        "name": clean(name, 120),
        "owner": clean(owner, 64),
        "priority": priority,
        "parent": parent,
        "status": "queued",
    }


def requeue(connection: Connection, record: RunRecord) -> None:
    """Have a run that has ended wait again, as of its last checkpoint; what it was told goes, interventions stay."""
    controls = schema.controls
    truncate(connection, record.id, record.checkpoint)
    connection.execute(delete(controls).where(controls.c.run_id == record.id))  # meant for the attempt before
    connection.execute(
        update(runs)
        .where(runs.c.id == record.id)
        .values(status="queued", reason="", attempt=record.attempt + 1, token="", worker="", pid=None)
        .values(ended=None, heartbeat=None, summary="{}", publishing="")
    )


def tell(connection: Connection, told: str, command: str, value: float | None = None, sender: str = "") -> int:
    """Tell a run, or a race by its id, something; returns the number of what was said."""
    said = insert(schema.controls).values(
        run_id=told, command=command, value=value, sender=clean(sender, 120), created=time.time()
    )
    key = connection.execute(said).inserted_primary_key
    assert key is not None, "an insert of one row has one"
    return int(key[0])


def own(connection: Connection, run_id: str, token: str, **values: Any) -> None:
    """Set ``values`` and the heartbeat of a run that is ours. Raises OwnershipLostError where it is not any more."""
    mine = update(runs).where(runs.c.id == run_id, runs.c.token == token, runs.c.status.in_(("running", "paused")))
    if connection.execute(mine.values(heartbeat=time.time(), **values)).rowcount != 1:
        raise OwnershipLostError(f"Run {run_id} was ended, cancelled or given to another process: nothing is written.")


def add_steps(connection: Connection, run_id: str, rows: np.ndarray) -> None:
    """Append rows (n, 8): to the newest chunk while that is small, else as a new one."""
    if not len(rows):
        return
    newest = connection.execute(
        select(chunks.c.first, chunks.c.last, chunks.c.data)
        .where(chunks.c.run_id == run_id)
        .order_by(chunks.c.first.desc())
        .limit(1)
    ).first()
    if newest is not None:
        rows = rows[np.searchsorted(rows[:, 0], newest.last, side="right") :]
        if not len(rows):
            return
        old = schema.unpack([bytes(newest.data)])
        if len(old) + len(rows) <= schema.CHUNK:
            connection.execute(
                update(chunks)
                .where(chunks.c.run_id == run_id, chunks.c.first == newest.first)
                .values(last=int(rows[-1, 0]), data=schema.pack(np.concatenate([old, rows])))
            )
            return
    connection.execute(
        insert(chunks).values(run_id=run_id, first=int(rows[0, 0]), last=int(rows[-1, 0]), data=schema.pack(rows))
    )


def add_evals(connection: Connection, run_id: str, events: Sequence[EvalEvent]) -> None:
    """Append evaluations; one of the same step and examples is replaced."""
    if not events:
        return
    rows = [
        {
            "run_id": run_id,
            "step": event.step,
            "accuracy": number(event.accuracy),
            "loss": number(event.loss),
            "n": event.n,
            "per_class": json.dumps(event.per_class),
        }
        for event in events
    ]
    same = (evals.c.run_id == run_id, evals.c.step == bindparam("at"), evals.c.n == bindparam("of"))
    connection.execute(delete(evals).where(*same), [{"at": row["step"], "of": row["n"]} for row in rows])
    # of two looks at the same step and examples the later one counts
    connection.execute(insert(evals), list({(row["step"], row["n"]): row for row in rows}.values()))


def add_marks(connection: Connection, run_id: str, events: Sequence[InterventionEvent]) -> None:
    """Append interventions; one that happens again after a resume is there already."""
    for event in events:
        row = {"run_id": run_id, "step": event.step, "field": event.field, "value": event.value}
        row["sender"] = clean(event.sender, 120)
        there = select(marks.c.id).where(*(marks.c[name] == value for name, value in row.items()))
        if connection.execute(there).first() is None:
            connection.execute(insert(marks).values(row))


def packed(events: Iterable[MaskEvent]) -> list[tuple[int, bytes]]:
    """Changes of masks as they are kept."""
    return [(event.step, json.dumps(event.__dict__).encode()) for event in events]


def add_pictures(
    connection: Connection, table: Table, run_id: str, pictures: Sequence[tuple[int, bytes]], most: int
) -> None:
    """Add (step, bytes), replacing those of the same step, and let go of some so that about ``most`` stay, evenly."""
    if not pictures:
        return
    new = dict(pictures)
    there = set(connection.execute(select(table.c.step).where(table.c.run_id == run_id)).scalars())
    gone = set(superfluous(there | new.keys(), most))
    if old := sorted(there & (gone | new.keys())):
        connection.execute(delete(table).where(table.c.run_id == run_id, table.c.step.in_(old)))
    if rows := [{"run_id": run_id, "step": step, "data": data} for step, data in new.items() if step not in gone]:
        connection.execute(insert(table), rows)


def truncate(connection: Connection, run_id: str, after: int) -> bool:
    """Take back all but interventions after step ``after``; returns whether there was something."""
    cut = connection.execute(
        select(chunks.c.first, chunks.c.data).where(chunks.c.run_id == run_id, chunks.c.last > after)
    ).all()
    removed = connection.execute(delete(chunks).where(chunks.c.run_id == run_id, chunks.c.last > after)).rowcount
    for first, data in cut:
        rows = schema.unpack([bytes(data)])
        rows = rows[rows[:, 0] <= after]
        if len(rows):
            connection.execute(
                insert(chunks).values(run_id=run_id, first=first, last=int(rows[-1, 0]), data=schema.pack(rows))
            )
    for table in (evals, schema.snapshots, schema.masks):
        later = delete(table).where(table.c.run_id == run_id, table.c.step > after)
        removed += connection.execute(later).rowcount
    last = connection.execute(select(func.max(chunks.c.last)).where(chunks.c.run_id == run_id)).scalar() or 0
    look = connection.execute(
        select(evals.c.accuracy, evals.c.loss).where(evals.c.run_id == run_id).order_by(evals.c.id.desc()).limit(1)
    ).first()
    accuracy, loss = (look.accuracy, look.loss) if look is not None else (None, None)
    connection.execute(update(runs).where(runs.c.id == run_id).values(step=last, accuracy=accuracy, loss=loss))
    return removed > 0


def copy_checkpoint(source: Path | str, digest: str, target: Path) -> None:
    """Copy a checkpoint to where a run looks for its own. Raises CheckpointError if it is of another experiment."""
    found = load_checkpoint(source)
    if found.digest != digest:
        raise CheckpointError(f"{source} belongs to experiment {found.digest}, not to {digest}.")
    target.parent.mkdir(parents=True, exist_ok=True)
    if remote.is_remote(source):
        remote.fetch(str(source), target)
    else:
        shutil.copyfile(source, target)
