"""Sweeps go on: members get runs as there is room, and what ended is taken in.

All that is known stands in the store, so whoever tends a sweep may die, and the next one goes on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import pandas as pd

from prune_core.errors import ConfigError, LabError, StoreUnavailableError
from prune_core.events import ENDED
from prune_core.sweeping import Halver, Search, Sweep, suggest
from prune_core.tracking import RETRY, STOPPED, Given, Store, SweepRecord, Sweeps

WINDOW = 16  # members of one sweep in the queue at a time: others' runs come in between, and no worker waits
REST_S = 0.5  # where the queue holds enough, runs that end in so short a time are taken in together
HERE_S = 0.05  # between looks at what others run
TRIES = 3  # times that a run's process may die before the run counts as failed
THOUGHTS = 20  # how often a search may think of what cannot be run, one after the other

log = logging.getLogger("prune_core.jobs")


class Tender:
    """Tends the sweeps of a store. Used from one thread at a time; several processes may tend one store."""

    def __init__(self, store: Store) -> None:
        self.sweeps = Sweeps(store)
        self._halvers: dict[str, Halver] = {}
        self._rested: float | None = None  # since when there is enough in the queue, by the monotonic clock

    @property
    def hurried(self) -> bool:
        """Whether a second is long: runs may have to be stopped early, or a look was put off."""
        return bool(self._halvers) or self._rested is not None

    def tend(self, capacity: int) -> list[str]:
        """Look after every sweep once; returns the ids of those that ended. ``capacity`` runs go on at a time."""
        if self._rested is not None and time.monotonic() - self._rested < REST_S:
            return []
        ended = []
        active = self.sweeps.active()
        self._rested = time.monotonic() if active else None
        for record in active:
            try:
                if self._tend(record, capacity):
                    ended.append(record.id)
            except StoreUnavailableError:
                raise
            except LabError as error:  # a part of it is not known here, say
                log.warning("Sweep %s: %s", record.id, error)
                self.sweeps.fail(record.id, str(error))
        going = {record.id for record in active} - set(ended)
        self._halvers = {key: one for key, one in self._halvers.items() if key in going}
        return ended

    def _tend(self, record: SweepRecord, capacity: int) -> bool:
        given = self.sweeps.given(record.id)
        left = len(given) - self._settle(record, given)
        if record.status != "running":
            return False
        sweep = record.sweep
        if sweep.halving is not None:
            self._halve(record, sweep, given)
        search = sweep.space if isinstance(sweep.space, Search) else None
        room = (capacity if search is not None else max(WINDOW, 2 * capacity)) - left
        if search is not None:
            self._think(record, sweep, search, room)
        if room <= 0:
            if search is not None:
                self._rested = None
            return False
        turn = self.sweeps.next(record.id, room)
        made = [(place, sweep.member(changes, place)) for place, changes in turn]
        if made:
            self.sweeps.give(record, [(p, exp if p >= 0 else exp.with_(prune=None)) for p, exp in made])
        if search is not None or left + len(turn) < 2 * capacity:
            self._rested = None  # the next run that ends may leave a worker without work
        if left or turn:
            return False
        if search is not None and self.sweeps.record(record.id).done < search.trials:
            return False
        return self.sweeps.close(record.id)

    # --- what ended ---------------------------------------------------------------------------------------------------
    def _settle(self, record: SweepRecord, given: list[Given]) -> int:
        """Take in the members whose run is over; returns how many of the given ones are not given any more."""
        found: dict[int, dict[str, Any]] = {}
        for one in given:
            if one.status in ENDED and (values := self._outcome(record, one)) is not None:
                found[one.place] = values
        if found:
            self.sweeps.settle(record.id, found)
        return len(found)

    def _outcome(self, record: SweepRecord, one: Given) -> dict[str, Any] | None:
        """The columns of a member whose run is over; None where its run goes on."""
        if one.status in ("finished", "diverged") or (one.until is not None and one.step >= one.until):
            return {"state": "done"}
        if one.origin == "reused":  # somebody else's run, which did not get there
            return {"state": "waiting", "run_id": None, "origin": ""}
        if one.status == "failed" and RETRY in one.reason and one.tries < TRIES and record.status == "running":
            log.info("Run %s of sweep %s goes on: %s", one.run_id, record.id, one.reason)
            return None if self.sweeps.again(record.id, one.place, one.run_id) else {"state": "done"}
        died = one.status == "failed" and RETRY in one.reason and record.status == "stopped"
        if died or (one.status == "stopped" and one.reason == STOPPED):
            return {"state": "waiting"}  # it goes on with its sweep
        return {"state": "done", "note": one.note or one.reason}

    # --- what is hopeless ---------------------------------------------------------------------------------------------
    def _halve(self, record: SweepRecord, sweep: Sweep, given: list[Given]) -> None:
        assert sweep.halving is not None, "asked for"
        halver = self._halvers.get(record.id)
        if halver is None:
            halver = self._halvers[record.id] = Halver(sweep.halving)
            for place, run_id in self.sweeps.begun(record.id):
                halver.see(place, self._looks(run_id))
        for one in given:
            if one.place < 0 or one.note or one.status not in ("running", "paused") or one.origin != "run":
                continue
            if why := halver.see(one.place, self._looks(one.run_id)):
                self.sweeps.say(record.id, one.place, one.run_id, why)

    def _looks(self, run_id: str) -> list[tuple[int, float]]:
        """What a run came to in mid-training: steps and accuracies."""
        looks: pd.DataFrame = self.sweeps.store.evals(run_id)
        return [(int(step), float(accuracy)) for step, accuracy in zip(looks["step"], looks["accuracy"], strict=True)]

    # --- what to try next ---------------------------------------------------------------------------------------------
    def _think(self, record: SweepRecord, sweep: Sweep, search: Search, room: int) -> None:
        tried = self.sweeps.tried(record.id, search.objectives)
        failed = 0
        while room > 0 and len(tried) < search.trials and failed < THOUGHTS:
            place = len(tried)
            changes = suggest(search, tried, place)
            try:
                digest, note = sweep.member(changes, place).digest, ""
            except ConfigError as error:
                digest, note = "", str(error)
            self.sweeps.add(record.id, place, changes, digest, note)
            tried.append((changes, {} if note else None))
            room, failed = room - (not note), failed + 1 if note else 0
        if failed == THOUGHTS:
            raise ConfigError(f"The search thought of {THOUGHTS} combinations in a row that cannot be run: {note}")


def tend_here(store: Store, sweep_id: str, execute: Callable[[str], str]) -> None:
    """Do a whole sweep in this process, a run at a time; what others run is waited for, and done where they died."""
    tender = Tender(store)
    while tender.sweeps.record(sweep_id).status == "running":
        tender.tend(1)
        given = tender.sweeps.given(sweep_id)
        waiting = [one.run_id for one in given if one.status == "queued"]
        for run_id in waiting:
            execute(run_id)
        if given and not waiting:  # all of it is at others'
            store.reap()
            time.sleep(HERE_S)
