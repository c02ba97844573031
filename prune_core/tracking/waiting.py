"""The queue: which run, or race, starts next."""

from __future__ import annotations

from collections import Counter

import pandas as pd
from sqlalchemy import ColumnElement, Connection, and_, exists, select

from prune_core.tracking import schema
from prune_core.tracking.database import Database
from prune_core.tracking.records import RACE, race_of

runs = schema.runs


class Waiting:
    """Reads the queue of a database."""

    def __init__(self, database: Database) -> None:
        self._database = self.database = database

    def queue(self) -> pd.DataFrame:
        """The runs that wait, in the order in which they will start; ``position`` counts from 1.

        Higher priority goes first; among equals, whoever has fewest runs at work or ahead in the queue. The lanes of a
        race start together: they count once, and share a position.
        """
        with self._database.reading() as connection:
            return self._queue(connection)

    def turn(self, n: int, cuda: bool | None = None) -> list[str]:
        """The first ``n`` ids of ``queue``, without looking at all that wait; a race counts once, with its first lane.

        With ``cuda`` only those whose device is (True) or is not (False) "cuda".
        """
        c = runs.c
        waits: tuple[ColumnElement[bool], ...] = (c.status == "queued", c.deleted.is_(None), ~_behind_another_lane())
        if cuda is not None:
            named = c.experiment.contains('"device": "cuda"')
            waits += (named if cuda else ~named,)
        found: list[str] = []
        with self._database.reading() as connection:
            taken = self._taken(connection)
            groups = connection.execute(select(c.priority, c.owner).where(*waits).distinct()).all()
            for priority in sorted({group.priority for group in groups}, reverse=True):
                ranked = []
                for owner in (group.owner for group in groups if group.priority == priority):
                    mine = select(c.id, c.created).where(*waits, c.priority == priority, c.owner == owner)
                    for row in connection.execute(mine.order_by(c.created, c.id).limit(n - len(found))):
                        ranked.append((taken[owner], row.created, row.id))
                        taken[owner] += 1
                found += [run_id for *_, run_id in sorted(ranked)[: n - len(found)]]
                if len(found) == n:
                    break
        return found

    def together(self, run_id: str) -> tuple[str, list[str]]:
        """What has to start with a run that waits: its race and the lanes of that which wait, or "" and itself."""
        c = runs.c
        with self._database.reading() as connection:
            race = race_of(connection.execute(select(c.parent).where(c.id == run_id)).scalar())
            if not race:
                return "", [run_id]
            lanes = select(c.id).where(c.parent == race, c.status == "queued", c.deleted.is_(None)).order_by(c.id)
            return race, list(connection.execute(lanes).scalars())

    # --- within one transaction ---------------------------------------------------------------------------------------
    def _queue(self, connection: Connection) -> pd.DataFrame:
        c = runs.c
        taken = self._taken(connection)
        columns = (c.id, c.name, c.owner, c.priority, c.created, c.data, c.model, c.steps)
        waiting = select(*columns, c.parent).where(c.status == "queued", c.deleted.is_(None))
        ranks: dict[str, tuple[int, int, float, str]] = {}  # by job: a race, or a run of its own
        ranked = []
        for row in connection.execute(waiting.order_by(c.priority.desc(), c.created, c.id)):
            job = race_of(row.parent) or row.id
            if job not in ranks:
                ranks[job] = (-row.priority, taken[row.owner], row.created, row.id)
                taken[row.owner] += 1
            ranked.append((ranks[job], row.id, row[:-1]))
        ranked.sort(key=lambda one: one[:2])
        place = {rank: i for i, rank in enumerate(sorted(ranks.values()), 1)}
        frame = pd.DataFrame([row for *_, row in ranked], columns=[column.name for column in columns])
        frame.insert(0, "position", [place[rank] for rank, *_ in ranked])
        return frame

    def _taken(self, connection: Connection) -> Counter[str]:
        """What is at work by owner: runs, and races, of which each has one worker."""
        c = runs.c
        active = select(c.owner, c.parent, c.id).where(c.status.in_(("running", "paused")), c.deleted.is_(None))
        jobs = {(row.owner, race_of(row.parent) or row.id) for row in connection.execute(active)}
        return Counter(owner for owner, _ in jobs)


def _behind_another_lane() -> ColumnElement[bool]:
    """Of a race's lanes that wait, all but the first."""
    first, c = runs.alias(), runs.c
    waits = (first.c.parent == c.parent, first.c.status == "queued", first.c.deleted.is_(None), first.c.id < c.id)
    return and_(c.parent.like(f"{RACE}%"), exists().where(*waits))
