"""Trials of claims in the live store: what is claimed, which sweep makes its runs, who measures, and what came out.

All of it stands in the store, so that whichever server or notebook asks finds the same trial, and may go on with it.
What a claim is stays its own business: here it is a name and a text.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from prune_core.errors import StoreError
from prune_core.sweeping import Sweep
from prune_core.tracking import schema
from prune_core.tracking.alive import Process
from prune_core.tracking.store import Store, new_token
from prune_core.tracking.sweeps import Sweeps

trials, sweeps = schema.trials, schema.sweeps

SILENT_S = 30.0  # after which whoever measures on another machine is taken for dead
BOTH = trials.join(sweeps, sweeps.c.id == trials.c.id)
LISTED = (trials.c.id, trials.c.kind, trials.c.verdict, trials.c.problem)
OF_SWEEP = (sweeps.c.status, sweeps.c.owner, sweeps.c.created)


@dataclass(frozen=True)
class TrialRecord:
    """A trial as of one moment. ``status`` is its sweep's; ``figures`` is the table of what was measured, as JSON.

    ``figures`` and ``verdict`` (word, sentence, on) are None until they are there; ``problem`` says why they will not
    be. ``measured_by`` is the machine and process that is at it, empty where nobody is.
    """

    id: str
    kind: str
    claim: dict[str, Any]
    status: str
    figures: str | None = field(repr=False)
    verdict: dict[str, str] | None
    problem: str
    measured_by: str


class _AlreadyThereError(Exception):
    """Somebody else began the same trial in this moment."""


class Trials:
    """The trials of ``store``. One has the id of its sweep, and is written down in the same transaction."""

    def __init__(self, store: Store) -> None:
        self.store, self.sweeps = store, Sweeps(store)
        self._db = store.database

    def begin(self, claim: Mapping[str, Any], sweep: Sweep, **more: Any) -> str:
        """Write a trial down and return its id; of one that goes on or is done the id that it has.

        ``claim`` are plain values with its name as ``kind``; ``more`` is for ``Sweeps.create``. Raises ConfigError.
        """
        found: list[str] = []

        def beside(connection: Connection, trial_id: str) -> None:
            row = self._current(connection, key)
            if row is not None and _useful(row):
                found.append(row.id)
                raise _AlreadyThereError
            if row is not None:
                connection.execute(update(trials).where(trials.c.id == row.id).values(current=None))
            text = json.dumps(dict(claim))
            connection.execute(insert(trials).values(id=trial_id, kind=claim["kind"], claim=text, current=key))

        key = _key(claim, sweep)
        try:
            return self.sweeps.create(sweep, beside=beside, **more)
        except _AlreadyThereError:
            return found[0]

    def current(self, claim: Mapping[str, Any], sweep: Sweep) -> str | None:
        """The trial of this very claim and these runs that goes on or is done; None where there is none."""
        with self._db.reading() as connection:
            row = self._current(connection, _key(claim, sweep))
        return str(row.id) if row is not None and _useful(row) else None

    def record(self, trial_id: str) -> TrialRecord:
        """The trial of that id. Raises StoreError where there is none."""
        query = select(trials, sweeps.c.status).select_from(BOTH).where(trials.c.id == trial_id)
        with self._db.reading() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise StoreError(f"There is no trial {trial_id} in this store: that is a sweep of another kind.")
        return TrialRecord(
            id=row.id, kind=row.kind, claim=json.loads(row.claim), status=row.status, figures=row.figures,
            verdict=json.loads(row.verdict) if row.verdict else None, problem=row.problem,
            measured_by=f"{row.machine.partition(' ')[0]}, process {row.pid}" if row.token and not _silent(row) else "",
        )  # fmt: skip

    def list(self, owner: str | None = None, limit: int = 200) -> list[Any]:
        """The newest trials first: id, kind, verdict (JSON, or empty), problem; status, owner, created of the sweep."""
        query = select(*LISTED, *OF_SWEEP).select_from(BOTH).where(sweeps.c.deleted.is_(None))
        if owner is not None:
            query = query.where(sweeps.c.owner == owner)
        with self._db.reading() as connection:
            return list(connection.execute(query.order_by(trials.c.id.desc()).limit(limit)).all())

    # --- for whoever measures -----------------------------------------------------------------------------------------
    def take(self, trial_id: str) -> str | None:
        """The right to measure a trial; None while runs go on or somebody is at it, and where nothing is left to do."""
        me, token = Process.current(), new_token()
        with self._db.writing() as connection:
            row = connection.execute(select(trials).where(trials.c.id == trial_id).with_for_update()).first()
            status = connection.execute(select(sweeps.c.status).where(sweeps.c.id == trial_id)).scalar()
            if (
                row is None
                or status != "finished"
                or row.figures is not None
                or row.problem
                or (row.token and not _silent(row))
            ):
                return None
            taken = update(trials).where(trials.c.id == trial_id)
            connection.execute(
                taken.values(token=token, machine=me.machine, pid=me.pid, pid_started=me.started, heartbeat=time.time())
            )
        return token

    def beat(self, trial_id: str, token: str) -> bool:
        """Say that the measuring goes on; False where it was given to somebody else or is not wanted any more."""
        with self._db.writing() as connection:
            mine = update(trials).where(trials.c.id == trial_id, trials.c.token == token)
            return connection.execute(mine.values(heartbeat=time.time())).rowcount == 1

    def conclude(
        self, trial_id: str, token: str, figures: str | None, verdict: Mapping[str, str] | None, problem: str
    ) -> bool:
        """Write what came out, or why nothing did; False where somebody else has the right by now."""
        text = json.dumps(dict(verdict)) if verdict else ""
        values = {"figures": figures, "verdict": text, "problem": problem[:1000], "token": ""}
        with self._db.writing() as connection:
            mine = update(trials).where(trials.c.id == trial_id, trials.c.token == token)
            return connection.execute(mine.values(values)).rowcount == 1

    def forget(self, trial_id: str) -> None:
        """Have it measured anew."""
        with self._db.writing() as connection:
            mine = update(trials).where(trials.c.id == trial_id)
            connection.execute(mine.values(figures=None, verdict="", problem="", token=""))

    def adopt(self, trial_id: str, claim: Mapping[str, Any], figures: str | None, problem: str) -> None:
        """Take in a trial that was noted elsewhere, whose sweep is here; one that is here already stays as it is."""
        with self._db.writing() as connection:
            if connection.execute(select(trials.c.id).where(trials.c.id == trial_id)).first() is None:
                connection.execute(
                    insert(trials).values(
                        id=trial_id, kind=claim["kind"], claim=json.dumps(dict(claim)), figures=figures, problem=problem
                    )
                )

    def _current(self, connection: Connection, key: str) -> Any:
        columns = (trials.c.id, trials.c.problem, sweeps.c.status, sweeps.c.deleted)
        query = select(*columns).select_from(trials.outerjoin(sweeps, sweeps.c.id == trials.c.id))
        return connection.execute(query.where(trials.c.current == key)).first()


def _useful(row: Row[Any]) -> bool:
    """Whether a trial goes on or is done: who asks for the same needs no other."""
    return bool(row.deleted is None and row.status in ("running", "finished") and not row.problem)


def _silent(row: Row[Any]) -> bool:
    """Whether the process that took the measuring is gone, or was not heard of for long."""
    if Process(row.machine, row.pid, row.pid_started).gone:
        return True
    return bool(abs(time.time() - row.heartbeat) > SILENT_S)


def _key(claim: Mapping[str, Any], sweep: Sweep) -> str:
    """What a trial asks for: the claim with every setting, and the runs that it means today."""
    text = json.dumps(dict(claim), sort_keys=True) + sweep.to_json()
    return hashlib.sha256(text.encode()).hexdigest()[:32]
