"""Steering a running loop from another thread: pause, step, stop, and new values in mid-run."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import get_args

from prune_core.errors import ConfigError, UnknownNameError
from prune_core.events import InterventionField
from prune_core.experiment import Experiment


@dataclass(frozen=True)
class Change:
    """A new value for a setting in mid-run; not yet tied to a step."""

    field: InterventionField
    value: float
    sender: str = ""


class Control:
    """What watchers hold to steer a loop. All methods may be called from any thread and return at once.

    The loop looks at ``idle`` once a step, a plain attribute read, and takes the lock only when somebody spoke.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._changes: deque[Change] = deque()
        self._paused = False
        self._steps = 0  # steps that may still be made while paused
        self._stopped = ""
        self._until: int | None = None
        self._pace: float | None = None
        self._turn = 0.0  # when the last step under a pace was let go, by the monotonic clock
        self._said = self._heard = 0  # things said, and those that the loop knows of
        self.idle = True

    def pause(self) -> None:
        """Hold before the next step."""
        self._say(paused=True)

    def resume(self) -> None:
        """Go on."""
        self._say(paused=False)

    def step(self, n: int = 1) -> None:
        """Make ``n`` more steps, then hold."""
        if n < 1:
            raise ConfigError(f"step must be at least 1, got {n}.")
        self._say(paused=True, steps=n)

    def stop(self, reason: str = "stopped on request") -> None:
        """End the run after the current step; its state is kept."""
        self._say(stopped=reason)

    def stop_after(self, step: int) -> None:
        """End the run when ``step`` updates are made, at once where they are; its state is kept."""
        with self._changed:
            self._until = step
            self._notify()

    def pace(self, steps_per_second: float | None) -> None:
        """Make at most so many steps a second, for eyes to follow; None is full speed. Raises ConfigError below 0."""
        if steps_per_second is not None and not 0 < steps_per_second < float("inf"):
            raise ConfigError(f"pace must be greater than 0 steps/s, or None for full speed, got {steps_per_second}.")
        with self._changed:
            self._pace = steps_per_second
            self._notify()

    def nudge(self) -> None:
        """Have the loop look: somebody spoke elsewhere."""
        with self._changed:
            self._notify()

    def set(
        self,
        *,
        clip_threshold: float | None = None,
        lr: float | None = None,
        sparsity: float | None = None,
        sender: str = "",
    ) -> None:
        """New values from the next step on. Bounds are checked by the loop with ``check_intervention``."""
        values: dict[InterventionField, float | None] = {
            "clip_threshold": clip_threshold,
            "lr": lr,
            "sparsity": sparsity,
        }
        with self._changed:
            self._changes.extend(Change(f, float(v), sender) for f, v in values.items() if v is not None)
            self._notify()

    @property
    def stopped(self) -> str:
        """Why the run was asked to stop; empty while it was not."""
        return self._stopped

    @property
    def paused(self) -> bool:
        """Whether the next step has to wait."""
        return self._paused and self._steps == 0

    @property
    def news(self) -> bool:
        """Whether something was said since the loop last listened."""
        return self._said != self._heard

    def drain(self, step: int) -> list[Change]:
        """The changes asked for since the last call, oldest first; ``step`` updates are made."""
        with self._changed:
            self._heard = self._said
            if self._until is not None and step >= self._until:
                self._stopped = self._stopped or f"all {self._until} steps made that were asked for"
            changes = list(self._changes)
            self._changes.clear()
            self.idle = not (self._paused or self._stopped or self._until is not None or self._pace is not None)
            return changes

    def wait(self, timeout: float | None = None) -> bool:
        """Block while paused and nothing new was said; returns whether there is something to do now."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.paused or self.news, timeout)

    def take_turn(self) -> bool:
        """Block until the next step is due under the pace; False where something was said meanwhile: listen first."""
        with self._changed:
            if self._pace is not None:
                due = self._turn + 1 / self._pace - time.monotonic()
                if due > 0 and self._changed.wait_for(lambda: self.news, due):
                    return False
                self._turn = time.monotonic()
            return True

    def made_step(self) -> None:
        """The loop made one of the steps allowed while paused."""
        with self._changed:
            self._steps = max(0, self._steps - 1)

    def _say(self, *, paused: bool | None = None, steps: int = 0, stopped: str = "") -> None:
        with self._changed:
            if paused is not None:
                self._paused, self._steps = paused, self._steps + steps if paused else 0
            self._stopped = self._stopped or stopped
            self._notify()

    def _notify(self) -> None:
        self._said += 1
        self.idle = False
        self._changed.notify_all()


def check_intervention(experiment: Experiment, field: str, value: float) -> float:
    """``value`` if ``field`` may take it in a run of ``experiment``.

    Raises ConfigError naming field, bound and value; also where the run has no clipping or no pruning to change.
    """
    if field == "clip_threshold":
        if experiment.clip is None:
            raise ConfigError("clip_threshold cannot be changed: this run does not clip.")
        return experiment.clip.with_threshold(value).threshold
    if field == "lr":
        return experiment.train.replace(lr=value).lr
    if field == "sparsity":
        if experiment.prune is None:
            raise ConfigError("sparsity cannot be changed: this run does not prune.")
        experiment.prune.replace(schedule=experiment.prune.schedule.with_final(value)).check(experiment.train.steps)
        return float(value)
    raise UnknownNameError("setting to change in mid-run", field, get_args(InterventionField))
