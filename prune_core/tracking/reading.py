"""Reading runs back. Everything here only reads, and asks only for what is new."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import AbstractContextManager

import numpy as np
import pandas as pd
from sqlalchemy import Connection, Select, and_, func, or_, select

from prune_core.errors import RunNotFoundError
from prune_core.events import STEP_FIELDS, SnapshotEvent
from prune_core.tracking import schema
from prune_core.tracking.records import SWEEP, ControlRecord, Cursor, LiveDelta, RunRecord, record_of
from prune_core.tracking.thinning import extremes
from prune_core.tracking.waiting import Waiting

LISTED = (
    *("id", "name", "status", "reason", "data", "model", "clip", "threshold", "prune", "scope", "schedule", "target"),
    *("optimizer", "lr", "batch_size", "seed", "step", "steps", "accuracy", "loss", "sparsity", "digest", "owner"),
    *("priority", "parent", "worker", "attempt", "created", "started", "ended", "published", "deleted"),
)
WHOLE_NUMBERS = ("batch_size", "seed", "step", "steps", "priority", "attempt")
NUMBERS = (*("threshold", "target", "lr", "accuracy", "loss", "sparsity", "created", "started", "ended", "deleted"),)

SAMPLE = "sample-"  # how the ids of sample runs begin

runs, chunks, evals, marks = schema.runs, schema.chunks, schema.evals, schema.marks
snapshots, controls = schema.snapshots, schema.controls


class Reader(Waiting):
    """Reads runs: those of the database, and the sample runs beside it."""

    def _reading(self, run_id: str) -> AbstractContextManager[Connection]:
        """A transaction on the database that holds the run."""
        return self._database.reading()

    # --- runs ---------------------------------------------------------------------------------------------------------
    def run(self, run_id: str) -> RunRecord:
        """The run of that id. Raises RunNotFoundError."""
        with self._reading(run_id) as connection:
            return self._run(connection, run_id)

    def runs(
        self,
        statuses: Iterable[str] | None = None,
        owner: str | None = None,
        limit: int = 500,
        include_deleted: bool = False,
    ) -> pd.DataFrame:
        """The newest runs, one a row, newest first; columns as in LISTED. Times are epoch seconds."""
        query = select(*(runs.c[name] for name in LISTED)).order_by(runs.c.id.desc()).limit(limit)
        if statuses is not None:
            query = query.where(runs.c.status.in_(list(statuses)))
        if owner is not None:
            query = query.where(runs.c.owner == owner)
        if not include_deleted:
            query = query.where(runs.c.deleted.is_(None))
        frame = self._frame(query, LISTED)
        kinds = {**dict.fromkeys(WHOLE_NUMBERS, "int64"), **dict.fromkeys(NUMBERS, "float64")}
        return frame.astype({name: kinds.get(name, "str") for name in LISTED})

    def count(self) -> int:
        """How many runs there are, without deleted ones."""
        with self._database.reading() as connection:
            found = connection.execute(select(func.count()).select_from(runs).where(runs.c.deleted.is_(None)))
            return int(found.scalar() or 0)

    def trunk_of(self, run_id: str) -> str | None:
        """The run whose training this one, of a sweep, begins with; None where there is none."""
        with self._database.reading() as connection:
            shared = self._shared(connection, run_id)
        return None if shared is None else shared[0]

    # --- what a run left ----------------------------------------------------------------------------------------------
    def history(self, run_id: str, after: int = 0, limit: int | None = None) -> pd.DataFrame:
        """A row a step after ``after``: step and STEP_FIELDS.

        With ``limit`` at most so many rows, the extremes of every column among them.
        """
        with self._reading(run_id) as connection:
            rows = self._rows(connection, run_id, after)
        return frame_of_rows(rows if limit is None else extremes(rows, limit))

    def evals(self, run_id: str, after: int = -1) -> pd.DataFrame:
        """A row an evaluation, in the order in which they were made: step, accuracy, loss, n, per_class (a tuple).

        With ``after`` those made later than the one at that step. The last of a run that diverged stands at an earlier
        step than the one before it: the run fell back.
        """
        mine = select(func.max(evals.c.id)).where(evals.c.run_id == run_id)
        there = mine.where(evals.c.step == after).scalar_subquery()
        earlier = mine.where(evals.c.step < after).scalar_subquery()
        with self._reading(run_id) as connection:
            return self._evals(connection, run_id, evals.c.id > func.coalesce(there, earlier, 0))[0]

    def marks(self, run_id: str) -> pd.DataFrame:
        """A row an intervention, in order: step (the first to use the value), field, value, sender."""
        with self._reading(run_id) as connection:
            return self._marks(connection, run_id, 0)[0]

    def masks(self, run_id: str) -> pd.DataFrame:
        """A row a change of masks (of many, an even choice), with the fields of MaskEvent."""
        table = schema.masks
        with self._reading(run_id) as connection:
            query = select(table.c.data).where(table.c.run_id == run_id).order_by(table.c.step)
            found = [json.loads(bytes(data)) for data in connection.execute(query).scalars()]
        columns = ["step", "sparsity", "target", "kept", "thresholds", "returned"]
        return pd.DataFrame([{"returned": 0, **row} for row in found], columns=columns)

    def snapshot_steps(self, run_id: str) -> list[int]:
        """Steps whose snapshot is kept, ascending; those of training shared with other runs of a sweep among them."""
        c = snapshots.c
        with self._reading(run_id) as connection:
            mine = c.run_id == run_id
            if (shared := self._shared(connection, run_id)) is not None:
                mine = or_(mine, and_(c.run_id == shared[0], c.step <= shared[1]))
            return sorted(set(connection.execute(select(c.step).where(mine)).scalars()))

    def snapshot(self, run_id: str, step: int | None = None) -> SnapshotEvent | None:
        """The snapshot of ``step``, by default the newest; None where there is none.

        That of a step before the run went its own way is kept with the training that it shares.
        """
        with self._reading(run_id) as connection:
            return self._snapshot(connection, run_id, -1, step) or self._before(connection, run_id, step)

    def live(self, run_id: str, since: Cursor | None = None) -> LiveDelta:
        """Everything that is new since ``since`` (the last delta's cursor), of one moment. Raises RunNotFoundError."""
        since = since or Cursor()
        with self._reading(run_id) as connection:
            record = self._run(connection, run_id)
            restart = record.attempt != since.attempt
            if restart:
                since = Cursor()
            rows = self._rows(connection, run_id, since.step)
            looks, last_eval = self._evals(connection, run_id, evals.c.id > since.eval)
            changes, last_mark = self._marks(connection, run_id, since.mark)
            snapshot = self._snapshot(connection, run_id, since.snapshot)
            if snapshot is None and since.snapshot < 0 and record.step and (record.parent or "").startswith(SWEEP):
                snapshot = self._before(connection, run_id, None)
            position = None
            if record.status == "queued":
                queue = self._queue(connection).set_index("id")["position"]
                position = int(queue[run_id]) if run_id in queue.index else None
        cursor = Cursor(
            attempt=record.attempt,
            step=int(rows[-1, 0]) if len(rows) else since.step,
            eval=last_eval or since.eval,
            mark=last_mark or since.mark,
            snapshot=snapshot.step if snapshot is not None else since.snapshot,
        )
        return LiveDelta(record, cursor, restart, rows, looks, changes, snapshot, position)

    def controls(self, run_id: str, after_id: int = 0) -> list[ControlRecord]:
        """What the run was told after control ``after_id``, oldest first."""
        c = controls.c
        query = (
            select(c.id, c.command, c.value, c.sender, c.created)
            .where(c.run_id == run_id, c.id > after_id)
            .order_by(c.id)
        )
        with self._reading(run_id) as connection:
            return [ControlRecord(*row) for row in connection.execute(query)]

    # --- within one transaction ---------------------------------------------------------------------------------------
    def _run(self, connection: Connection, run_id: str, *, hold: bool = False) -> RunRecord:
        """The run; with ``hold`` nobody else writes to it until the transaction ends, as in SQLite nobody ever does."""
        query = select(runs).where(runs.c.id == run_id)
        row = connection.execute(query.with_for_update() if hold else query).mappings().first()
        if row is None:
            raise RunNotFoundError(f"There is no run {run_id!r} in this store.")
        return record_of(dict(row), read_only=is_sample(run_id))

    def _rows(self, connection: Connection, run_id: str, after: int) -> np.ndarray:
        query = select(chunks.c.data).where(chunks.c.run_id == run_id, chunks.c.last > after).order_by(chunks.c.first)
        rows = schema.unpack(bytes(data) for data in connection.execute(query).scalars())
        return rows[np.searchsorted(rows[:, 0], after, side="right") :]

    def _evals(self, connection: Connection, run_id: str, new: object) -> tuple[pd.DataFrame, int]:
        c = evals.c
        query = (
            select(c.id, c.step, c.accuracy, c.loss, c.n, c.per_class)
            .where(c.run_id == run_id, new)  # type: ignore[arg-type]
            .order_by(c.id)
        )
        found = connection.execute(query).all()
        columns = {
            "step": np.array([r.step for r in found], "int64"),
            "accuracy": np.array([r.accuracy for r in found], "float64"),
            "loss": np.array([r.loss for r in found], "float64"),
            "n": np.array([r.n for r in found], "int64"),
            "per_class": pd.Series([tuple(json.loads(r.per_class)) for r in found], dtype=object),
        }
        return pd.DataFrame(columns), (found[-1].id if found else 0)

    def _marks(self, connection: Connection, run_id: str, after_id: int) -> tuple[pd.DataFrame, int]:
        c = marks.c
        query = (
            select(c.id, c.step, c.field, c.value, c.sender).where(c.run_id == run_id, c.id > after_id).order_by(c.id)
        )
        found = connection.execute(query).all()
        columns = {
            "step": np.array([r.step for r in found], "int64"),
            "field": pd.array([r.field for r in found], dtype="str"),
            "value": np.array([r.value for r in found], "float64"),
            "sender": pd.array([r.sender for r in found], dtype="str"),
        }
        return pd.DataFrame(columns), (found[-1].id if found else 0)

    def _snapshot(
        self, connection: Connection, run_id: str, after: int, step: int | None = None, upto: int | None = None
    ) -> SnapshotEvent | None:
        c = snapshots.c
        query = select(c.data).where(c.run_id == run_id, c.step > after).order_by(c.step.desc()).limit(1)
        if step is not None:
            query = query.where(c.step == step)
        if upto is not None:
            query = query.where(c.step <= upto)
        data = connection.execute(query).scalar()
        return None if data is None else SnapshotEvent.from_bytes(bytes(data))

    def _shared(self, connection: Connection, run_id: str) -> tuple[str, int] | None:
        """The run whose training this one, of a sweep, begins with, and up to which step."""
        if is_sample(run_id):
            return None
        m, shared = schema.members.c, schema.members.alias()
        query = (
            select(shared.c.run_id, shared.c.until)
            .join(schema.members, (m.sweep_id == shared.c.sweep_id) & (m.trunk == shared.c.place))
            .where(m.run_id == run_id, m.origin == "run", shared.c.run_id.is_not(None))
        )
        row = connection.execute(query.limit(1)).first()
        return None if row is None else (row.run_id, row.until or 0)

    def _before(self, connection: Connection, run_id: str, step: int | None) -> SnapshotEvent | None:
        """The snapshot of ``step``, or the newest, of the training that the run begins with."""
        shared = self._shared(connection, run_id)
        if shared is None or (step is not None and step > shared[1]):
            return None
        return self._snapshot(connection, shared[0], -1, step, upto=shared[1])

    def _frame(self, query: Select[tuple[object, ...]], names: Iterable[str]) -> pd.DataFrame:
        with self._database.reading() as connection:
            return pd.DataFrame([tuple(row) for row in connection.execute(query)], columns=list(names))


def is_sample(run_id: str) -> bool:
    """Whether the id is that of a sample run, which nobody may change."""
    return run_id.startswith(SAMPLE)


def frame_of_rows(rows: np.ndarray) -> pd.DataFrame:
    """Rows (n, 8) as a table."""
    frame = pd.DataFrame(rows[:, 1:], columns=list(STEP_FIELDS))
    frame.insert(0, "step", rows[:, 0].astype("int64"))
    return frame
