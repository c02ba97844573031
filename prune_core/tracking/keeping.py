"""Looking after runs: marking those whose process is gone, deleting with a way back, noting what was published."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, case, delete, or_, select, update

from prune_core.errors import StoreError
from prune_core.events import ENDED, Status
from prune_core.tracking import files, schema, writing
from prune_core.tracking.alive import Process
from prune_core.tracking.database import Database
from prune_core.tracking.reading import Reader, is_sample
from prune_core.tracking.records import PUBLISHING, RACE, RETRY, SWEEP

ACTIVE = ("running", "paused")
STALE_S = 5.0
PUBLISHING_S = 300.0

runs = schema.runs
log = logging.getLogger("prune_core.tracking")


class Keeper(Reader):
    """Looks after the runs of a database, whoever executes them."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._seen: dict[str, tuple[float | None, float]] = {}  # by run: its heartbeat, and since when it is that
        self._lock = threading.Lock()

    def fail(self, run_id: str, status: Status, reason: str) -> bool:
        """End a run whose process cannot do it any more; one that waits or has ended stays as it is."""
        with self._database.writing() as connection:
            return self._end(connection, run_id, ACTIVE, status, reason)

    def reap(self, older_than_s: float = STALE_S) -> list[str]:
        """Mark running and paused runs whose process is gone as failed; returns their ids. Call it again and again.

        Gone is one whose heartbeat this Store has seen stand still for so long (by its own clock: a laptop that slept
        and two machines that disagree on the time do no harm), or whose process ended on this machine.
        """
        now, clock, c = time.time(), time.monotonic(), runs.c
        with self._database.reading() as connection:
            columns = (c.id, c.token, c.heartbeat, c.worker, c.machine, c.pid, c.pid_started, c.step, c.checkpoint)
            active = connection.execute(select(*columns).where(c.status.in_(ACTIVE))).all()
        with self._lock:
            before, self._seen = self._seen, {}
            for run in active:
                beat, since = before.get(run.id, (None, clock))
                self._seen[run.id] = (run.heartbeat, since if beat == run.heartbeat else clock)
            still = {run_id: clock - since for run_id, (_, since) in self._seen.items()}
        found = []
        for run in active:
            ended = Process(run.machine, run.pid, run.pid_started).gone and now - run.heartbeat >= older_than_s
            if not ended and still[run.id] < older_than_s:
                continue
            on = f"from the checkpoint at step {run.checkpoint}" if run.checkpoint else "from the start"
            reason = (
                f"the process that ran it ({run.worker or 'in this program'}, {run.pid}) stopped answering "
                f"at step {run.step}; {RETRY} {on}"
            )
            with self._database.writing() as connection:
                # only if it still is the attempt that was seen, and has not moved since
                if self._end(connection, run.id, ACTIVE, "failed", reason, token=run.token, heartbeat=run.heartbeat):
                    found.append(run.id)
        return found

    def delete(self, run_ids: Iterable[str], owner: str | None = None) -> None:
        """Hide ended runs; ``restore`` brings them back, ``purge`` removes them for good.

        Raises StoreError, and hides none, where one is active, a sample, or with ``owner`` somebody else's.
        """
        ids = list(run_ids)
        for run_id in ids:
            changeable(run_id)
        with self._database.writing() as connection:
            for run_id in sorted(ids):  # two who delete the same runs wait for each other, not both
                record = self._run(connection, run_id, hold=True)
                if record.status not in ENDED:
                    raise StoreError(f"Run {run_id} is {record.status}: stop it before deleting it.")
                if owner is not None and record.owner != owner:
                    raise StoreError(f"Run {run_id} belongs to {record.owner or 'nobody'}: only its owner deletes it.")
            connection.execute(update(runs).where(runs.c.id.in_(ids)).values(deleted=time.time()))

    def restore(self, run_ids: Iterable[str]) -> None:
        """Undo ``delete``."""
        with self._database.writing() as connection:
            connection.execute(update(runs).where(runs.c.id.in_(list(run_ids))).values(deleted=None))

    def purge(self, older_than_s: float = 0.0) -> list[str]:
        """Remove runs deleted so long ago, with their files; returns their ids. There is no way back.

        The checkpoint of a run that another one starts from stays.
        """
        with self._database.writing() as connection:
            old = select(runs.c.id).where(runs.c.deleted <= time.time() - older_than_s).order_by(runs.c.id)
            gone = list(connection.execute(old.with_for_update()).scalars())  # nobody restores one meanwhile
            for table in schema.PARTS:
                connection.execute(delete(table).where(table.c.run_id.in_(gone)))
            connection.execute(delete(runs).where(runs.c.id.in_(gone)))
            by_name = {i: select(runs.c.id).where(runs.c.experiment.contains(i)).limit(1) for i in gone}
            named = {i for i, query in by_name.items() if connection.execute(query).first() is not None}
        for run_id in set(gone) - named:
            try:
                files.remove(run_id)
            except StoreError as error:  # the run is gone all the same
                log.warning("Files of run %s are left behind: %s", run_id, error)
        return gone

    # --- MLflow -------------------------------------------------------------------------------------------------------
    def claim_publishing(self, run_id: str) -> bool:
        """Take a run that waits to be published; False where a publisher on another machine was faster."""
        taken = update(runs).where(runs.c.id == run_id, waits(runs)).values(publishing=publishing_now())
        with self._database.writing() as connection:
            return connection.execute(taken).rowcount == 1

    def set_publishing(self, run_id: str, publishing: str, published: str | None = None) -> None:
        """Note how publishing goes: "waiting", "" when done (with MLflow's id in ``published``), or why it failed."""
        values = {"publishing": writing.clean(publishing, 400)}
        with self._database.writing() as connection:
            connection.execute(
                update(runs)
                .where(runs.c.id == run_id)
                .values(**values, **({} if published is None else {"published": published}))
            )

    def to_publish(self) -> list[str]:
        """Ended runs that wait to be published, oldest first."""
        query = select(runs.c.id).where(waits(runs), runs.c.status.in_(ENDED)).order_by(runs.c.id)
        with self._database.reading() as connection:
            return list(connection.execute(query).scalars())

    # --- within one transaction ---------------------------------------------------------------------------------------
    def _end(
        self,
        connection: Connection,
        run_id: str,
        among: Sequence[str],
        status: str,
        reason: str,
        **seen: Any,
    ) -> bool:
        # what never began has nothing to publish; of the many runs of sweeps and races people publish those they want
        many = or_(runs.c.parent.like(f"{SWEEP}%"), runs.c.parent.like(f"{RACE}%"))
        published = case((runs.c.started.is_(None), ""), (many, ""), else_="waiting")
        ended = (
            update(runs)
            .where(runs.c.id == run_id, runs.c.status.in_(among), *(runs.c[k] == v for k, v in seen.items()))
            .values(
                status=status, reason=writing.clean(reason, 1000), ended=time.time(), token="", publishing=published
            )
        )
        return connection.execute(ended).rowcount == 1


def publishing_now() -> str:
    """What a run says while it is being published."""
    return f"{PUBLISHING}{time.time():.0f}"


def waits(table: Table) -> ColumnElement[bool]:
    """Runs, or sweeps, that nobody publishes: a publisher that was not heard of for so long is taken for dead."""
    dead = f"{PUBLISHING}{time.time() - PUBLISHING_S:.0f}"  # as many digits for centuries: texts compare as numbers do
    c = table.c.publishing
    return or_(c == "waiting", and_(c.startswith(PUBLISHING), c < dead))


def changeable(run_id: str) -> None:
    """Raises StoreError for a sample run, which nobody may change."""
    if is_sample(run_id):
        raise StoreError(f"{run_id} is a sample run: it can be looked at and copied, not changed.")
