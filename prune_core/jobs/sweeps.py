"""A sweep in the lab as people hold it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from prune_core.errors import EngineError
from prune_core.tracking import SweepRecord, Sweeps, results

POLL_S = 0.2
WAKE_S = 2.0  # how often whoever waits looks whether there still is an engine


@dataclass(frozen=True)
class Progress:
    """How far a sweep is. ``seconds_left`` is by the estimate until two are done; None when none is left."""

    done: int
    total: int
    running: int
    failed: int
    reused: int
    seconds_left: float | None


@dataclass(frozen=True)
class SweepCost:
    """What a sweep took so far, and what it was spared. Steps are updates of weights, seconds those of workers.

    ``steps_asked`` is what all members say together. Of it ``steps_made`` were made, ``shared_runs`` pieces of common
    training among them, which spared ``steps_shared``; ``steps_reused`` are those of runs that were there already, and
    ``steps_stopped`` were never made because a member was stopped early or diverged.
    """

    steps_asked: int
    steps_made: int
    steps_shared: int
    shared_runs: int
    steps_reused: int
    steps_stopped: int
    seconds: float


class SweepHandle:
    """A sweep in the lab. Whatever process asks, all is read from the store; steering calls return at once."""

    def __init__(self, sweep_id: str, sweeps: Sweeps, wake: Callable[[], None]) -> None:
        self.id = sweep_id
        self._sweeps, self._wake = sweeps, wake

    def __repr__(self) -> str:
        record = self.record
        return f"SweepHandle({self.id}: {record.status}, {record.done} of {record.total})"

    @property
    def record(self) -> SweepRecord:
        """Everything the store knows of the sweep, as of now."""
        return self._sweeps.record(self.id)

    @property
    def status(self) -> str:
        """running, stopped, finished or failed."""
        return self.record.status

    @property
    def progress(self) -> Progress:
        """How far it is, and how long it will take at its pace so far."""
        record = self.record
        return progress_of(record, time.time())

    def results(self) -> pd.DataFrame:
        """A row a member, in their order, as far as they are; columns as in ``prune_core.tracking.results``."""
        return results(self._sweeps.store.database, self.record)

    def cost(self) -> SweepCost:
        """What it took so far, and what was spared."""
        return SweepCost(**self._sweeps.cost(self.id))

    def wake(self) -> None:
        """Have the engine look for work now; one that died is started again. Raises EngineError."""
        self._wake()

    def stop(self) -> None:
        """Start nothing more, and stop what runs; all that is done stays, and ``resume`` goes on."""
        self._sweeps.stop(self.id)
        self._wake()

    def resume(self) -> None:
        """Go on with what is left; members that failed are tried again. Raises StoreError where nothing is left."""
        self._sweeps.resume(self.id)
        self._wake()

    def wait(self, timeout: float | None = None) -> str:
        """Block until the sweep has ended and return its status. Raises EngineError after ``timeout`` seconds.

        An engine that died meanwhile is started again, and goes on where the sweep was.
        """
        began = woke = time.monotonic()
        while not (record := self.record).has_ended:
            now = time.monotonic()
            if timeout is not None and now - began > timeout:
                raise EngineError(
                    f"Sweep {self.id} is at {record.done} of {record.total} after {timeout:g} s; it goes on."
                )
            if now - woke > WAKE_S:
                self._wake()
                woke = now
            time.sleep(POLL_S)
        return record.status


def progress_of(record: SweepRecord, now: float) -> Progress:
    """How far the sweep of ``record`` is at epoch second ``now``: the time left is that of what is done, scaled."""
    own = record.done - record.reused
    left = record.total - record.done
    seconds = None
    if not record.has_ended and left:
        if own >= 2:
            seconds = max(0.0, now - record.created) / own * left
        elif "seconds" in record.estimate:
            seconds = max(0.0, float(record.estimate["seconds"]) - (now - record.created))
    return Progress(record.done, record.total, record.running, record.failed, record.reused, seconds)
