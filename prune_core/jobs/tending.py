"""Sweeps go on: members get runs as there is room, and what ended is taken in.

All that is known stands in the store, so whoever tends a sweep may die, and the next one goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pandas as pd

from prune_core.errors import ConfigError, LabError, StoreUnavailableError
from prune_core.sweeping import Halver, Search, Sweep, suggest
from prune_core.tracking import RETRY, Given, Store, SweepRecord, Sweeps

WINDOW = 16  # members of one sweep in the queue at a time: others' runs come in between, and no worker waits
TRIES = 3  # times that a run's process may die before the run counts as failed
THOUGHTS = 20  # how often a search may think of what cannot be run, one after the other

log = logging.getLogger("prune_core.jobs")


class Tender:
    """Tends the sweeps of a store. Used from one thread at a time; several processes may tend one store."""

    def __init__(self, store: Store) -> None:
        self.sweeps = Sweeps(store)
        self._halvers: dict[str, Halver] = {}
        self._attempts: dict[str, dict[int, int]] = {}

    @property
    def hurried(self) -> bool:
        """Whether a sweep is looked at for runs to stop early: then a second is long."""
        return bool(self._halvers)

    def tend(self, capacity: int) -> list[str]:
        """Look after every sweep once; returns the ids of those that ended. ``capacity`` runs go on at a time."""
        ended = []
        active = self.sweeps.active()
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
        self._settle(record)
        if record.status != "running":
            return False
        sweep = record.sweep
        if sweep.halving is not None:
            self._halve(record, sweep)
        room = (capacity if isinstance(sweep.space, Search) else max(WINDOW, 2 * capacity)) - len(
            self.sweeps.given(record.id)
        )
        if isinstance(sweep.space, Search):
            self._think(record, sweep, sweep.space, room)
        if room > 0:
            for place, changes in self.sweeps.next(record.id, room):
                experiment = sweep.member(changes, place)
                self.sweeps.give(record, place, experiment if place >= 0 else experiment.with_(prune=None))
        if isinstance(sweep.space, Search) and self.sweeps.record(record.id).done < sweep.space.trials:
            return False
        return self.sweeps.close(record.id)

    # --- what ended ---------------------------------------------------------------------------------------------------
    def _settle(self, record: SweepRecord) -> None:
        """Take in the members whose run is over."""
        found: dict[int, dict[str, Any]] = {}
        for one in self.sweeps.given(record.id, ended=True):
            values = self._outcome(record, one)
            if values is not None:
                found[one.place] = values
        if found:
            self.sweeps.settle(record.id, found)

    def _outcome(self, record: SweepRecord, one: Given) -> dict[str, Any] | None:
        """The columns of a member whose run is over; None where its run goes on."""
        if one.status in ("finished", "diverged") or (one.until is not None and one.step >= one.until):
            return {"state": "done"}
        if one.origin == "reused":  # somebody else's run, which did not get there
            return {"state": "waiting", "run_id": None, "origin": ""}
        if one.status == "failed" and RETRY in one.reason and one.tries < TRIES and record.status == "running":
            log.info("Run %s of sweep %s goes on: %s", one.run_id, record.id, one.reason)
            return None if self.sweeps.again(record.id, one.place, one.run_id) else {"state": "done"}
        if record.status == "stopped" and not one.note and one.status in ("stopped", "failed"):
            return {"state": "waiting"}  # it goes on with its sweep
        return {"state": "done", "note": one.note or one.reason}

    # --- what is hopeless ---------------------------------------------------------------------------------------------
    def _halve(self, record: SweepRecord, sweep: Sweep) -> None:
        assert sweep.halving is not None, "asked for"
        halver = self._halvers.get(record.id)
        if halver is None:
            halver = self._halvers[record.id] = Halver(sweep.halving)
            for place, run_id in self.sweeps.begun(record.id):
                halver.see(place, self._looks(run_id, record))
        for one in self.sweeps.given(record.id):
            if one.place < 0 or one.note or one.status not in ("running", "paused") or one.origin != "run":
                continue
            if why := halver.see(one.place, self._looks(one.run_id, record)):
                self.sweeps.say(record.id, one.place, one.run_id, why)

    def _looks(self, run_id: str, record: SweepRecord) -> list[tuple[int, float]]:
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
    """Do a whole sweep in this process, a run at a time."""
    tender = Tender(store)
    while (record := tender.sweeps.record(sweep_id)).status == "running":
        tender.tend(1)
        for one in tender.sweeps.given(sweep_id):
            if one.status == "queued":
                execute(one.run_id)
        if record.status == "running" and not tender.sweeps.given(sweep_id):
            tender.tend(1)
