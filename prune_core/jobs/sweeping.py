"""Sweeps from the lab: estimated, started, found again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeVar

import pandas as pd
from distributed import Client

from prune_core.errors import ConfigError
from prune_core.experiment import Experiment
from prune_core.jobs import place
from prune_core.jobs.estimate import Estimate, estimate, first_steps
from prune_core.jobs.place import Place
from prune_core.jobs.sweeps import SweepHandle
from prune_core.jobs.tending import tend_here
from prune_core.sweeping import Halving, Space, Sweep, as_space
from prune_core.tracking import Store, Sweeps, execute
from prune_core.training import StepTime, time_steps

T = TypeVar("T")
Where = Literal["auto", "here", "workers"]
TINY_S = 2.0  # a sweep that takes less is not worth starting an engine for


class Sweeping:
    """What a Lab knows of sweeps."""

    store: Store
    scheduler: str | None
    _place: Place
    _workers: int

    def _call(self, question: Callable[[Client], T]) -> T:
        raise NotImplementedError

    def _wake(self) -> None:
        raise NotImplementedError

    def workers(self) -> pd.DataFrame:
        """The worker processes."""
        raise NotImplementedError

    def sweep(
        self,
        experiment: Experiment | Sweep,
        space: Space | Mapping[str, Iterable[Any]] | Iterable[Mapping[str, Any]] | None = None,
        *,
        halving: Halving | None = None,
        share: bool = True,
        name: str = "",
        owner: str = "",
        priority: int = 0,
        where: Where = "auto",
        estimate: Estimate | None = None,
    ) -> SweepHandle:
        """Run every member of ``space`` and return at once; a mapping is a grid, a list of mappings a list.

        All are validated and the first steps timed before anything starts (``estimate`` spares the timing). A member
        whose digest has a finished run in the store is not run again. "here" runs them in this process and returns when
        all are done; "auto" does so where that is estimated to take under two seconds and no engine runs yet. Raises
        ConfigError naming the first member that cannot be run; then nothing has begun.
        """
        asked = experiment if isinstance(experiment, Sweep) else _asked(experiment, space, halving, share)
        create = Sweeps(self.store).create
        return self._begin(asked, create, name=name, owner=owner, priority=priority, where=where, estimate=estimate)

    def _begin(
        self, asked: Sweep, create: Callable[..., str], *, where: Where, estimate: Estimate | None, **more: Any
    ) -> SweepHandle:
        """Begin a sweep that ``create`` writes down."""
        if where != "here" and self.scheduler is None:
            for experiment in (asked.experiment, *(member.experiment for member in asked.members())):
                check_known(experiment)
        found = estimate or self.estimate(asked, here=self._alone(where))
        return self._go_on(create(asked, estimate=found.to_dict(), **more), where)

    def _go_on(self, sweep_id: str, where: Where) -> SweepHandle:
        """Have what is left of a sweep done: here, or by an engine, which is started where there is none."""
        sweeps = Sweeps(self.store)
        record = sweeps.record(sweep_id)
        tiny = self._alone(where) and float(record.estimate.get("seconds", TINY_S)) < TINY_S
        if record.status != "running":
            pass
        elif where == "here" or tiny:
            tend_here(self.store, sweep_id, lambda run_id: execute(self.store, run_id))
        else:
            self._wake()
        return SweepHandle(sweep_id, sweeps, self._wake)

    def _alone(self, where: Where) -> bool:
        """Whether this process would have to do it, or start an engine first."""
        return where == "here" or (where == "auto" and self.scheduler is None and self._place.read() is None)

    def estimate(self, sweep: Sweep, *, here: bool = False) -> Estimate:
        """What ``sweep`` will cost: every member is validated, and one of each kind makes its first steps.

        They are made in a worker, or with ``here`` in this process. Raises ConfigError naming the first member that
        cannot be run.
        """

        def timer(experiments: list[Experiment]) -> list[StepTime]:
            if here:
                return [time_steps(one) for one in experiments]
            texts = [one.to_json() for one in experiments]
            return self._call(lambda client: first_steps(client, texts))

        workers = 1 if here else self._workers if self.scheduler is None else len(self.workers())
        return estimate(sweep, Sweeps(self.store).known, timer, max(1, workers))

    def sweep_handle(self, sweep_id: str) -> SweepHandle:
        """The sweep of that id. Raises RunNotFoundError."""
        sweeps = Sweeps(self.store)
        sweeps.record(sweep_id)
        return SweepHandle(sweep_id, sweeps, self._wake)

    def sweeps(self, owner: str | None = None, limit: int = 200) -> pd.DataFrame:
        """The newest sweeps, one a row: id, name, status, done, total, failed, reused, created, ended, owner."""
        names = ("id", "name", "status", "done", "total", "failed", "reused", "created", "ended", "owner")
        rows = [[getattr(one, name) for name in names] for one in Sweeps(self.store).list(owner, limit)]
        return pd.DataFrame(rows, columns=list(names))


def _asked(experiment: Experiment, space: Any, halving: Halving | None, share: bool) -> Sweep:
    if space is None:
        raise ConfigError("sweep needs a space: a mapping of dotted fields to values, say.")
    return Sweep(experiment=experiment, space=as_space(space), halving=halving, share=share)


def check_known(experiment: Experiment) -> None:
    """Raise ConfigError for a part that the engine's workers cannot import: one from a notebook cell, say."""
    clip, prune = experiment.clip, experiment.prune
    check_parts([experiment.data, experiment.model, *(clip.parts if clip else ()), *(prune.parts if prune else ())])


def check_parts(parts: Iterable[object]) -> None:
    """Raise ConfigError for a part that the engine's workers cannot import."""
    known = ("prune_core", *place.plugins())
    for part in parts:
        module = type(part).__module__
        if part is not None and not any(module == name or module.startswith(f"{name}.") for name in known):
            raise ConfigError(
                f"{type(part).__name__} is defined in {module}, which worker processes do not import. Save it in a "
                f"module and name that in {place.PLUGINS} before the engine starts, or train here with pc.run."
            )
