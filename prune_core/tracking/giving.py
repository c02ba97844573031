"""Giving the members of a sweep to runs, and noting what becomes of them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from prune_core.errors import RunNotFoundError
from prune_core.experiment import Experiment
from prune_core.sweeping import plain, short
from prune_core.tracking import schema, writing
from prune_core.tracking.records import LAB, RunRecord
from prune_core.tracking.store import Store
from prune_core.tracking.sweep_records import SweepRecord, sweep_of

runs, sweeps, members = schema.runs, schema.sweeps, schema.members

DONE = ("finished", "diverged")  # what the same experiment would end as again


@dataclass(frozen=True)
class Given:
    """A member whose run is in the store: what became of it so far."""

    place: int
    run_id: str
    origin: str
    tries: int
    until: int | None
    note: str
    status: str
    reason: str
    step: int


class Giver:
    """Gives members their runs, a transaction each: who dies in between leaves nothing out, starts nothing twice."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._db = store.database

    def active(self) -> list[SweepRecord]:
        """Sweeps that have something to give out or to look after, oldest first."""
        given = exists().where(members.c.sweep_id == sweeps.c.id, members.c.state == "given")
        query = select(sweeps).where(or_(sweeps.c.status == "running", given), sweeps.c.deleted.is_(None))
        with self._db.reading() as connection:
            rows = [dict(row) for row in connection.execute(query.order_by(sweeps.c.id)).mappings()]
            return [sweep_of(row, {}) for row in rows]

    def given(self, sweep_id: str) -> list[Given]:
        """Members that have a run now; one whose run is gone for good counts as cancelled."""
        m, r = members.c, runs.c
        columns = (m.place, m.run_id, m.origin, m.tries, m.until, m.note)
        query = (
            select(
                *columns, func.coalesce(r.status, "cancelled"), func.coalesce(r.reason, ""), func.coalesce(r.step, 0)
            )
            .select_from(members.outerjoin(runs, m.run_id == r.id))
            .where(*of(sweep_id, "given"))
            .order_by(m.place)
        )
        with self._db.reading() as connection:
            return [Given(*row) for row in connection.execute(query)]

    def settle(self, sweep_id: str, places: Mapping[int, Mapping[str, Any]]) -> None:
        """Write what became of members: columns by place, as of ``given``."""
        with self._db.writing() as connection:
            for place, values in places.items():
                at = (members.c.sweep_id == sweep_id, members.c.place == place, members.c.state == "given")
                connection.execute(update(members).where(*at).values(**values))

    def again(self, sweep_id: str, place: int, run_id: str) -> bool:
        """Queue the run of a given member once more, as its process died; False where somebody else did already."""
        with self._db.writing() as connection:
            record = self.store._run(connection, run_id)
            if record.status != "failed":
                return False
            at = (members.c.sweep_id == sweep_id, members.c.place == place)
            until = connection.execute(select(members.c.until).where(*at)).scalar()
            self._requeue(connection, record, until)
            connection.execute(update(members).where(*at).values(tries=members.c.tries + 1))
            return True

    def next(self, sweep_id: str, n: int) -> list[tuple[int, dict[str, Any]]]:
        """Up to ``n`` members whose turn it is, first those that others begin with: place and changes."""
        m, trunk = members.c, members.alias()
        ready = or_(
            m.trunk.is_(None),
            exists().where(trunk.c.sweep_id == m.sweep_id, trunk.c.place == m.trunk, trunk.c.state == "done"),
        )
        query = select(m.place, m.changes).where(*of(sweep_id, "waiting"), ready).order_by(m.place).limit(n)
        with self._db.reading() as connection:
            return [(row.place, json.loads(row.changes)) for row in connection.execute(query)]

    def give(self, record: SweepRecord, found: Sequence[tuple[int, Experiment]]) -> list[str]:
        """Give waiting members, by place, a run each: one that is there already or a new one.

        A run that is there has the same digest, nobody intervened in it, and it is finished or on its way. Returns the
        ids of the runs, "" for a member that does not wait.
        """
        while True:
            columns = [
                writing.queued(exp, name="", owner=record.owner, priority=record.priority, parent=record.id)
                for _, exp in found
            ]
            try:
                with self._db.writing() as connection:
                    going = connection.execute(select(sweeps.c.status).where(sweeps.c.id == record.id)).scalar()
                    if going != "running":
                        return [""] * len(found)
                    return [
                        self._give(connection, record, place, writing.new_id(), values)
                        for (place, _), values in zip(found, columns, strict=True)
                    ]
            except IntegrityError:  # an id was taken in this millisecond
                continue

    def add(self, sweep_id: str, place: int, changes: Mapping[str, Any], digest: str, note: str = "") -> None:
        """A member that a search thought of; one that cannot be run is done, and ``note`` says why."""
        row = {"sweep_id": sweep_id, "place": place, "changes": json.dumps(plain(changes)), "digest": digest}
        state = "done" if note else "waiting"
        with self._db.writing() as connection:
            connection.execute(insert(members).values(**row, state=state, note=writing.clean(note, 400)))

    def begun(self, sweep_id: str) -> list[tuple[int, str]]:
        """Members that have or had a run: place and run, in the order in which these were queued."""
        m = members.c
        query = select(m.place, m.run_id).where(m.sweep_id == sweep_id, m.place >= 0, m.run_id.is_not(None))
        with self._db.reading() as connection:
            return [(row.place, row.run_id) for row in connection.execute(query.order_by(m.run_id))]

    def tried(
        self, sweep_id: str, wanted: Sequence[str]
    ) -> list[tuple[dict[str, Any], dict[str, float | None] | None]]:
        """Every member so far: its changes, and what is ``wanted`` of its run; None while it is under way."""
        m = members.c
        query = (
            select(m.changes, m.state, runs.c.status, runs.c.summary)
            .select_from(members.outerjoin(runs, m.run_id == runs.c.id))
            .where(m.sweep_id == sweep_id, m.place >= 0)
            .order_by(m.place)
        )
        found: list[tuple[dict[str, Any], dict[str, float | None] | None]] = []
        with self._db.reading() as connection:
            for row in connection.execute(query):
                outcome: dict[str, float | None] | None = None
                if row.state == "done":
                    summary = json.loads(row.summary) if row.status in DONE else {}
                    outcome = {name: summary.get(name) for name in wanted}
                found.append((json.loads(row.changes), outcome))
        return found

    def say(self, sweep_id: str, place: int, run_id: str, note: str) -> None:
        """Stop the run of a member for the reason ``note``."""
        with self._db.writing() as connection:
            at = (members.c.sweep_id == sweep_id, members.c.place == place)
            connection.execute(update(members).where(*at).values(note=writing.clean(note, 400)))
            writing.tell(connection, run_id, "stop", sender=f"{LAB}{note}")

    def close(self, sweep_id: str) -> bool:
        """End a running sweep of which nothing is left; returns whether that was so."""
        left = exists().where(members.c.sweep_id == sweeps.c.id, members.c.state != "done")
        with self._db.writing() as connection:
            ended = connection.execute(
                update(sweeps)
                .where(sweeps.c.id == sweep_id, sweeps.c.status == "running", ~left)
                .values(status="finished", ended=time.time())
            )
            return ended.rowcount == 1

    def fail(self, sweep_id: str, reason: str) -> None:
        """End a sweep that cannot go on."""
        with self._db.writing() as connection:
            self._set(
                connection, sweep_id, ("running",), status="failed", reason=writing.clean(reason, 1000),
                ended=time.time(),
            )  # fmt: skip

    # --- within one transaction ---------------------------------------------------------------------------------------
    def _give(
        self, connection: Connection, record: SweepRecord, place: int, run_id: str, values: dict[str, Any]
    ) -> str:
        at = (members.c.sweep_id == record.id, members.c.place == place)
        row = connection.execute(select(members).where(*at, members.c.state == "waiting")).first()
        if row is None:
            return ""
        found = None if row.until is not None else self._same(connection, row.digest, row.run_id)
        if found is not None:
            given = {"run_id": found.id, "origin": "reused", "state": "done" if found.status in DONE else "given"}
        elif row.run_id is not None and (old := self._old(connection, row.run_id)):
            self._requeue(connection, old, row.until)
            given = {"state": "given", "origin": "run"}
        else:
            count = select(func.count()).where(members.c.sweep_id == record.id, members.c.trunk == place)
            shared = f"training that {connection.execute(count).scalar()} runs have in common"
            named = shared if row.until is not None else short(json.loads(row.changes))
            new = {**values, "id": run_id, "created": time.time(), "name": writing.clean(named, 120)}
            connection.execute(insert(runs).values(new))
            self._stop_after(connection, run_id, row.until)
            given = {"run_id": run_id, "origin": "run", "state": "given"}
        connection.execute(update(members).where(*at).values(given))
        return str(given.get("run_id") or row.run_id)

    def _requeue(self, connection: Connection, record: RunRecord, until: int | None) -> None:
        """Have a run wait again; what it was told is gone then, so shared training is told anew where it ends."""
        writing.requeue(connection, record)
        self._stop_after(connection, record.id, until)

    def _stop_after(self, connection: Connection, run_id: str, until: int | None) -> None:
        if until is not None:
            writing.tell(connection, run_id, "stop", float(until), f"{LAB}shared training")

    def _same(self, connection: Connection, digest: str, own: str | None) -> Row[Any, Any] | None:
        """A run of the same experiment as it says that is finished, or, of another's making, on its way."""
        trunk = exists().where(members.c.run_id == runs.c.id, members.c.place < 0)  # it will not go to its end
        query = select(runs.c.id, runs.c.status).where(
            runs.c.digest == digest, *as_it_says((*DONE, "queued", "running")), ~trunk
        )
        ordered = query.order_by(runs.c.status.in_(DONE).desc(), (runs.c.id == own).desc(), runs.c.id)
        return connection.execute(ordered.limit(1)).first()

    def _old(self, connection: Connection, run_id: str) -> RunRecord | None:
        try:
            record = self.store._run(connection, run_id)
        except RunNotFoundError:  # purged meanwhile
            return None
        return record if record.status in ("failed", "stopped", "cancelled") and record.deleted is None else None

    def _record(self, connection: Connection, sweep_id: str) -> SweepRecord:
        row = connection.execute(select(sweeps).where(sweeps.c.id == sweep_id)).mappings().first()
        if row is None:
            raise RunNotFoundError(f"There is no sweep {sweep_id!r} in this store.")
        return sweep_of(dict(row), self._counts(connection, [sweep_id]).get(sweep_id, {}))

    def _counts(self, connection: Connection, ids: Sequence[str]) -> dict[str, dict[tuple[str, str, str], int]]:
        """Members without trunks by sweep, and in it by state, origin and status of the run."""
        m = members.c
        query = (
            select(m.sweep_id, m.state, m.origin, func.coalesce(runs.c.status, ""), func.count())
            .select_from(members.outerjoin(runs, m.run_id == runs.c.id))
            .where(m.sweep_id.in_(list(ids)), m.place >= 0)
            .group_by(m.sweep_id, m.state, m.origin, runs.c.status)
        )
        found: dict[str, dict[tuple[str, str, str], int]] = {}
        for sweep_id, state, origin, status, n in connection.execute(query):
            found.setdefault(sweep_id, {})[state, origin, status] = n
        return found

    def _set(self, connection: Connection, sweep_id: str, among: Sequence[str], **values: Any) -> None:
        at = (sweeps.c.id == sweep_id, sweeps.c.status.in_(among))
        connection.execute(update(sweeps).where(*at).values(**values))


def of(sweep_id: str, state: str) -> tuple[ColumnElement[bool], ...]:
    """Members of a sweep in ``state``."""
    return members.c.sweep_id == sweep_id, members.c.state == state


def as_it_says(statuses: Sequence[str]) -> tuple[ColumnElement[bool], ...]:
    """Runs of these statuses that did what their experiment says: nobody changed anything in mid-run."""
    changed = exists().where(schema.marks.c.run_id == runs.c.id)
    told = exists().where(schema.controls.c.run_id == runs.c.id, schema.controls.c.command.startswith("set:"))
    return runs.c.status.in_(statuses), runs.c.deleted.is_(None), ~changed, ~told
