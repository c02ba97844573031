"""A race in the lab as people hold it: four runs that are steered as one."""

from __future__ import annotations

import time
from collections.abc import Callable

from prune_core.errors import ConfigError, EngineError, RunNotFoundError
from prune_core.events import ENDED, Status
from prune_core.jobs.handle import POLL_S, RunHandle
from prune_core.tracking import Races, RunRecord
from prune_core.training import LaneName, check_intervention


class RaceHandle:
    """A race in the lab. Steering calls return at once; all lanes follow at the same step."""

    def __init__(self, race_id: str, races: Races, wake: Callable[[], None]) -> None:
        self.id = race_id
        self._races, self._wake = races, wake

    def __repr__(self) -> str:
        return f"RaceHandle({self.id}: {', '.join(f'{lane} {r.status}' for lane, r in self.records.items())})"

    @property
    def lanes(self) -> dict[LaneName, RunHandle]:
        """The runs by lane. Raises RunNotFoundError where all are deleted."""
        return {lane: RunHandle(i, self._races.store, self._wake) for lane, i in self._races.lanes(self.id).items()}

    @property
    def records(self) -> dict[LaneName, RunRecord]:
        """Everything the store knows of each lane, as of now."""
        return {lane: self._races.store.run(run_id) for lane, run_id in self._races.lanes(self.id).items()}

    @property
    def statuses(self) -> dict[LaneName, Status]:
        """What each lane does."""
        return {lane: record.status for lane, record in self.records.items()}

    # --- steering -----------------------------------------------------------------------------------------------------
    def set(
        self,
        *,
        clip_threshold: float | None = None,
        sparsity: float | None = None,
        lr: float | None = None,
        sender: str = "",
    ) -> None:
        """New values in mid-race for the lanes that have such a setting, from the same step on in each.

        Raises ConfigError out of bounds, StoreError where all lanes have ended.
        """
        given = {"clip_threshold": clip_threshold, "lr": lr, "sparsity": sparsity}
        records = self.records
        whole = next((r for lane, r in records.items() if lane == "both"), None)
        if whole is None:
            raise RunNotFoundError(f"Race {self.id} has lost its lane with both: nothing can be changed in it.")
        # all are checked before one is sent: a call changes everything or nothing
        values = {f: check_intervention(whole.experiment, f, v) for f, v in given.items() if v is not None}
        for field, value in values.items():
            self._races.send(self.id, f"set:{field}", value, sender)

    def pause(self, sender: str = "") -> None:
        """Hold all lanes before the same step."""
        self._races.send(self.id, "pause", sender=sender)

    def resume(self, sender: str = "") -> None:
        """Go on."""
        self._races.send(self.id, "resume", sender=sender)

    def step(self, n: int = 1, sender: str = "") -> None:
        """Have every lane make ``n`` more steps, then hold."""
        if n < 1:
            raise ConfigError(f"step must be at least 1, got {n}.")
        self._races.send(self.id, "step", n, sender)

    def pace(self, steps_per_second: float | None, sender: str = "") -> None:
        """At most so many steps a second in each lane, for eyes to follow; None is full speed."""
        if steps_per_second is not None and not 0 < steps_per_second < float("inf"):
            raise ConfigError(f"pace must be greater than 0 steps/s, or None for full speed, got {steps_per_second}.")
        self._races.send(self.id, "pace", steps_per_second or 0.0, sender)

    def stop(self, sender: str = "") -> None:
        """End all lanes and keep their states. Where they do not follow within 5 s their process is ended."""
        self._races.cancel(self.id)
        if any(status not in ENDED for status in self.statuses.values()):
            self._races.send(self.id, "stop", sender=sender)

    def retry(self) -> None:
        """Queue the lanes again that failed or were stopped: a race again, from their last checkpoints."""
        self._races.requeue(self.id)
        self._wake()

    # --- waiting ------------------------------------------------------------------------------------------------------
    def wait(self, timeout: float | None = None) -> dict[LaneName, Status]:
        """Block until all lanes have ended and return their statuses. Raises EngineError after ``timeout`` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not all(status in ENDED for status in self.statuses.values()):
            if deadline is not None and time.monotonic() > deadline:
                raise EngineError(f"Race {self.id} still goes after {timeout:g} s: {self.statuses}.")
            time.sleep(POLL_S)
        return self.statuses
