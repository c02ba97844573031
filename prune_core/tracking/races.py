"""Races in the live store: four runs with a parent in common, created, told things and queued again together."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from prune_core.errors import RunNotFoundError, StoreError
from prune_core.events import ENDED
from prune_core.experiment import Experiment
from prune_core.tracking import schema, writing
from prune_core.tracking.records import RACE
from prune_core.tracking.store import AGAIN, Store, check_command
from prune_core.training import LANES, LaneName, lane_of, lanes_of

runs, controls = schema.runs, schema.controls
SAMPLE_RACE = "sample-race"  # the finished one that ships with the lab


class Races:
    """The races of ``store``. A lane is a run like any other, whose parent is the race's id."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._db = store.database

    def create(self, experiment: Experiment, *, name: str = "", owner: str = "", priority: int = 0) -> str:
        """Queue the four lanes of ``experiment`` and return the race's id. Raises ConfigError."""
        lanes = lanes_of(experiment)
        while True:
            ids = [writing.new_id() for _ in lanes]  # ascending, so that the queue keeps their order
            race = f"{RACE}{ids[0]}"
            called = name or f"Race {ids[0][-4:]}"
            rows: list[dict[str, Any]] = [
                {
                    **writing.queued(one, name=f"{called}: {lane}", owner=owner, priority=priority, parent=race),
                    "id": run_id,
                    "created": time.time(),
                }
                for run_id, (lane, one) in zip(ids, lanes.items(), strict=True)
            ]
            try:
                with self._db.writing() as connection:
                    connection.execute(insert(runs), rows)
                return race
            except IntegrityError:  # another process took an id in the same millisecond
                continue

    def lanes(self, race: str) -> dict[LaneName, str]:
        """The runs by lane, deleted ones left out. Raises RunNotFoundError where there is no such race."""
        if race == SAMPLE_RACE:
            found = {lane_of(record.experiment): record.id for record in self.store.race_samples()}
        else:
            with self._db.reading() as connection:
                rows = self._rows(connection, race)
            found = {_lane(row): row.id for row in rows}
        if not found:
            raise RunNotFoundError(f"There is no race {race!r} in this store.")
        return {lane: found[lane] for lane in LANES if lane in found}

    def send(self, race: str, command: str, value: float | None = None, sender: str = "") -> int:
        """Tell all lanes together: pause, resume, step, stop, pace or set:FIELD. Raises StoreError where all ended."""
        check_command(command, value)
        with self._db.writing() as connection:
            rows = self._rows(connection, race)
            if not rows:
                raise RunNotFoundError(f"There is no race {race!r} in this store.")
            if all(row.status in ENDED for row in rows):
                raise StoreError(f"Race {race} cannot be told to {command}: all its lanes have ended.")
            # held, so that the ids of what it is told come in the order in which listeners can see them
            self.store._run(connection, rows[0].id, hold=True)
            return writing.tell(connection, race, command, value, sender)

    def requeue(self, race: str) -> list[str]:
        """Queue the lanes again that failed, were stopped or cancelled; they go on together from their checkpoints.

        Returns their ids. Raises StoreError where there is none.
        """
        with self._db.writing() as connection:
            again = [row.id for row in self._rows(connection, race) if row.status in AGAIN]
            if not again:
                raise StoreError(f"Race {race} has no lane that could go on: none failed or was stopped.")
            connection.execute(delete(controls).where(controls.c.run_id == race))  # meant for the attempt before
            for run_id in again:
                writing.requeue(connection, self.store._run(connection, run_id, hold=True))
            return again

    def cancel(self, race: str) -> None:
        """Take the lanes out of the queue that wait."""
        with self._db.writing() as connection:
            for row in self._rows(connection, race):
                self.store._end(connection, row.id, ("queued",), "cancelled", "cancelled on request")

    def _rows(self, connection: Connection, race: str) -> list[Any]:
        c = runs.c
        mine = select(c.id, c.status, c.clip, c.prune).where(c.parent == race, c.deleted.is_(None)).order_by(c.id)
        return list(connection.execute(mine).all())


def _lane(row: Any) -> LaneName:
    if row.clip is None:
        return "baseline" if row.prune is None else "pruning"
    return "clipping" if row.prune is None else "both"
