"""Sweeps in the live store: what is to be run, what is running, and what came out.

A sweep's members are rows that say what they change. One gets a run when its turn comes, in the transaction that notes
it, so that whoever dies in between leaves nothing out and starts nothing twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from prune_core.errors import RunNotFoundError, StoreError
from prune_core.events import ENDED
from prune_core.sweeping import Sweep, plain
from prune_core.tracking import schema, writing
from prune_core.tracking.giving import DONE, Giver, as_it_says, of
from prune_core.tracking.keeping import publishing_now, waits
from prune_core.tracking.records import LAB, STOPPED, SWEEP
from prune_core.tracking.sweep_records import SweepRecord, sweep_of

runs, sweeps, members = schema.runs, schema.sweeps, schema.members

BATCH = 500  # names in one question


class Sweeps(Giver):
    """The sweeps of ``store``."""

    def create(
        self,
        sweep: Sweep,
        *,
        name: str = "",
        owner: str = "",
        priority: int = 0,
        estimate: Mapping[str, Any] = {},
        beside: Callable[[Connection, str], None] = lambda connection, sweep_id: None,
    ) -> str:
        """Write a sweep down and return its id. Every member is checked first. Raises ConfigError.

        ``beside`` writes what belongs to it in the same transaction, given the id.
        """
        rows = member_rows(sweep, self.known)
        values = {
            "name": writing.clean(name, 120),
            "owner": writing.clean(owner, 64),
            "priority": priority,
            "status": "running",
            "settings": sweep.to_json(),
            "total": sweep.total,
            "estimate": json.dumps(dict(estimate)),
        }
        while True:
            sweep_id = f"{SWEEP}{writing.new_id()}"
            try:
                with self._db.writing() as connection:
                    connection.execute(insert(sweeps).values(id=sweep_id, created=time.time(), **values))
                    if rows:
                        connection.execute(insert(members), [{**row, "sweep_id": sweep_id} for row in rows])
                    beside(connection, sweep_id)
                return sweep_id
            except IntegrityError:  # another process took this id, or began the same, in the same millisecond
                continue

    def known(self, digests: Iterable[str]) -> set[str]:
        """Those of ``digests`` that a finished run without interventions has."""
        names, found = sorted(set(digests)), set()
        with self._db.reading() as connection:
            for at in range(0, len(names), BATCH):
                query = select(runs.c.digest).where(runs.c.digest.in_(names[at : at + BATCH]), *as_it_says(DONE))
                found |= set(connection.execute(query.distinct()).scalars())
        return found

    def record(self, sweep_id: str) -> SweepRecord:
        """The sweep of that id. Raises RunNotFoundError."""
        with self._db.reading() as connection:
            return self._record(connection, sweep_id)

    def glance(self, sweep_id: str) -> tuple[Any, ...]:
        """What changes with whatever somebody does to a sweep that has ended, without counting its members.

        Raises RunNotFoundError.
        """
        columns = (sweeps.c.status, sweeps.c.ended, sweeps.c.deleted, sweeps.c.published, sweeps.c.publishing)
        with self._db.reading() as connection:
            row = connection.execute(select(*columns).where(sweeps.c.id == sweep_id)).first()
        if row is None:
            raise RunNotFoundError(f"There is no sweep {sweep_id!r} in this store.")
        return tuple(row)

    def list(self, owner: str | None = None, limit: int = 200, *, counts: bool = True) -> list[SweepRecord]:
        """The newest sweeps first. Without ``counts`` no members are counted, which takes a while where there are many:
        all counts of members are 0 then.
        """
        query = select(sweeps).where(sweeps.c.deleted.is_(None)).order_by(sweeps.c.id.desc()).limit(limit)
        if owner is not None:
            query = query.where(sweeps.c.owner == owner)
        with self._db.reading() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
            found = self._counts(connection, [row["id"] for row in rows]) if counts else {}
        return [sweep_of(row, found.get(row["id"], {})) for row in rows]

    def cost(self, sweep_id: str) -> dict[str, Any]:
        """Steps asked for, made, shared, reused and not made, and seconds of workers; of the whole sweep so far."""
        m, r = members.c, runs.c
        columns = (m.place, m.trunk, m.until, m.origin, m.state, r.step, r.steps, r.started, r.ended)
        query = select(*columns).select_from(members.outerjoin(runs, m.run_id == r.id)).where(m.sweep_id == sweep_id)
        with self._db.reading() as connection:
            rows = connection.execute(query).all()
        until = {row.place: row.until for row in rows if row.place < 0}
        found = dict.fromkeys(("steps_asked", "steps_made", "steps_shared", "steps_reused", "steps_stopped"), 0)
        seconds = 0.0
        for row in rows:
            if row.origin == "run" and row.started is not None:
                seconds += (row.ended or time.time()) - row.started
            made = row.step or 0
            if row.place < 0:
                found["steps_made"] += made
                continue
            found["steps_asked"] += row.steps or 0
            if row.origin == "reused":
                found["steps_reused"] += row.steps or 0
            elif row.origin == "run":
                shared = min(until.get(row.trunk, 0), made) if row.trunk is not None else 0
                found["steps_shared"] += shared
                found["steps_made"] += made - shared
                found["steps_stopped"] += row.steps - made if row.state == "done" else 0
        return {**found, "shared_runs": len(until), "seconds": seconds}

    def stop(self, sweep_id: str) -> None:
        """Give nothing more out; what runs is told to stop and keeps its state. What is done stays."""
        with self._db.writing() as connection:
            self._set(connection, sweep_id, ("running",), status="stopped", reason="stopped on request")
            mine = of(sweep_id, "given")
            waiting = select(runs.c.id).where(runs.c.status == "queued", runs.c.started.is_(None))
            gone = (*mine, members.c.origin == "run", members.c.run_id.in_(waiting))
            ids = list(connection.execute(select(members.c.run_id).where(*gone)).scalars())
            connection.execute(update(members).where(*gone).values(state="waiting", run_id=None, origin=""))
            connection.execute(delete(runs).where(runs.c.id.in_(ids)))
            connection.execute(delete(schema.controls).where(schema.controls.c.run_id.in_(ids)))
            left = select(members.c.run_id).where(*mine, members.c.origin == "run")
            for run_id in connection.execute(left).scalars().all():
                writing.tell(connection, run_id, "stop", sender=f"{LAB}{STOPPED}")

    def resume(self, sweep_id: str) -> None:
        """Go on with a stopped sweep; members that failed are tried again."""
        with self._db.writing() as connection:
            record = self._record(connection, sweep_id)
            if record.status == "running":
                return
            failed = select(runs.c.id).where(runs.c.status.in_(("failed", "cancelled")))
            connection.execute(
                update(members)
                .where(*of(sweep_id, "done"), members.c.run_id.in_(failed))
                .values(state="waiting", tries=0, note="")
            )
            left = select(members.c.place).where(members.c.sweep_id == sweep_id, members.c.state != "done").limit(1)
            known = record.sweep.space.given
            if connection.execute(left).first() is None and (known or record.done >= record.total):
                raise StoreError(f"Sweep {sweep_id} is {record.status}: nothing of it is left to do.")
            self._set(connection, sweep_id, ("stopped", "finished", "failed"), status="running", reason="", ended=None)

    def delete(self, sweep_id: str) -> None:
        """Hide a sweep that has ended; its runs stay. Raises StoreError for one that runs."""
        with self._db.writing() as connection:
            if self._record(connection, sweep_id).status == "running":
                raise StoreError(f"Sweep {sweep_id} is running: stop it before deleting it.")
            connection.execute(update(sweeps).where(sweeps.c.id == sweep_id).values(deleted=time.time()))

    # --- MLflow -------------------------------------------------------------------------------------------------------
    def runs_of(self, sweep_id: str) -> Sequence[str]:
        """The ended runs of its members, in their order and each once; those that its members began with left out."""
        m = members.c
        ended = (m.sweep_id == sweep_id, m.place >= 0, runs.c.status.in_(ENDED), runs.c.started.is_not(None))
        query = select(m.run_id).join(runs, m.run_id == runs.c.id).where(*ended, runs.c.deleted.is_(None))
        with self._db.reading() as connection:
            return tuple(dict.fromkeys(connection.execute(query.order_by(m.place)).scalars()))

    def published_with(self, run_id: str) -> dict[str, str]:
        """MLflow's ids of the published sweeps that the run is a member of, by sweep."""
        m, s = members.c, sweeps.c
        query = (
            select(s.id, s.published)
            .join(members, m.sweep_id == s.id)
            .where(m.run_id == run_id, m.place >= 0, s.published != "")
        )
        with self._db.reading() as connection:
            return {row.id: row.published for row in connection.execute(query)}

    def to_publish(self) -> Sequence[str]:
        """Sweeps that wait to be published, oldest first."""
        query = select(sweeps.c.id).where(waits(sweeps), sweeps.c.status != "running").order_by(sweeps.c.id)
        with self._db.reading() as connection:
            return connection.execute(query).scalars().all()

    def claim_publishing(self, sweep_id: str) -> bool:
        """Take a sweep that waits to be published; False where a publisher on another machine was faster."""
        taken = update(sweeps).where(sweeps.c.id == sweep_id, waits(sweeps)).values(publishing=publishing_now())
        with self._db.writing() as connection:
            return connection.execute(taken).rowcount == 1

    def set_publishing(self, sweep_id: str, publishing: str, published: str | None = None) -> None:
        """Note how publishing goes: "waiting", "" when done (with MLflow's id in ``published``), or why it failed."""
        values = {"publishing": writing.clean(publishing, 400)}
        values |= {} if published is None else {"published": published}
        with self._db.writing() as connection:
            connection.execute(update(sweeps).where(sweeps.c.id == sweep_id).values(**values))


def member_rows(sweep: Sweep, known: Any) -> list[dict[str, Any]]:
    """The rows of a sweep's members and, below 0, of the trunks that more than one new member begins with."""
    found = sweep.members()
    for member in found:
        if member.experiment.unregistered():
            member.experiment.to_dict()  # says which part, and what to do
    digests = [member.experiment.digest for member in found]
    there = known(digests)
    wanted: dict[str, int] = {}
    for member, digest in zip(found, digests, strict=True):
        if member.trunk is not None and digest not in there:
            wanted[member.trunk.key] = wanted.get(member.trunk.key, 0) + 1
    places = {key: -1 - i for i, key in enumerate(key for key, n in wanted.items() if n > 1)}
    rows: list[dict[str, Any]] = []
    trunks = {}
    for member, digest in zip(found, digests, strict=True):
        trunk = member.trunk
        place = places.get(trunk.key) if trunk is not None and digest not in there else None
        if place is not None and trunk is not None:
            trunks[place] = (member, trunk)
        rows.append(_row(member.place, member.changes, digest, trunk=place))
    for place, (member, trunk) in trunks.items():
        rows.append(_row(place, member.changes, trunk.experiment.digest, until=trunk.steps))
    return rows


def _row(
    place: int, changes: Mapping[str, Any], digest: str, trunk: int | None = None, until: int | None = None
) -> dict[str, Any]:
    text = json.dumps(plain(changes))
    return {"place": place, "state": "waiting", "changes": text, "digest": digest, "trunk": trunk, "until": until}
