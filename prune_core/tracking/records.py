"""What the store gives back of a run."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from prune_core.errors import ConfigError
from prune_core.events import ENDED, SnapshotEvent, Status
from prune_core.experiment import Experiment

PUBLISHING = "publishing since "
LAB = "lab: "  # how the lab itself begins as a sender; what follows says why
SWEEP = "s"  # how the ids of sweeps begin; those of runs are hex digits
RACE = "race-"  # how the ids of races begin
STOPPED = "its sweep was stopped"  # in the reason of a run that goes on when its sweep does
RETRY = "retry goes on"  # in the reason of a run whose process died: nothing is wrong with the run itself


class Publishable:
    """What MLflow gets: ``published`` is its id there, ``publishing`` that it waits, who is at it, or why it failed."""

    id: str
    published: str
    publishing: str

    @property
    def to_be_published(self) -> bool:
        """Whether it waits to be published, or somebody is at it."""
        return self.publishing == "waiting" or self.publishing.startswith(PUBLISHING)


@dataclass(frozen=True)
class RunRecord(Publishable):
    """A run as of one moment. Times are epoch seconds; ``started``, ``ended``, ``heartbeat`` are None before.

    ``step`` updates are recorded of ``steps``; a checkpoint is known after ``checkpoint`` of them (0: none).
    ``accuracy``, ``loss`` and ``sparsity`` are the last ones known, ``summary`` is written when the run ends; before,
    it may hold a ``warning``, and in a race what the network costs as of ``cost_step``. ``published`` is MLflow's
    id of the run; ``publishing`` says "waiting", since when somebody is at it, or why it failed.
    """

    id: str
    name: str
    status: Status
    reason: str
    digest: str
    owner: str
    priority: int
    parent: str | None
    worker: str
    pid: int | None
    attempt: int
    step: int
    steps: int
    checkpoint: int
    accuracy: float | None
    loss: float | None
    sparsity: float | None
    created: float
    started: float | None
    ended: float | None
    heartbeat: float | None
    deleted: float | None
    published: str
    publishing: str
    summary: dict[str, Any]
    settings: str = field(repr=False)
    """The experiment as JSON."""
    read_only: bool = False

    @property
    def experiment(self) -> Experiment:
        """The experiment. Raises ConfigError where a part of it is not registered in this process."""
        return _experiment(self.settings)

    @property
    def has_ended(self) -> bool:
        """Whether it is over."""
        return self.status in ENDED


@dataclass(frozen=True)
class ControlRecord:
    """Something a run or a race was told: pause, resume, step, stop, pace or set:FIELD."""

    id: int
    command: str
    value: float | None
    sender: str
    created: float


@dataclass(frozen=True)
class Cursor:
    """How far a reader has read a run."""

    attempt: int = 0
    step: int = 0
    eval: int = 0
    mark: int = 0
    snapshot: int = -1


@dataclass(frozen=True)
class LiveDelta:
    """All that is new of a run since ``Cursor``, seen at one moment.

    ``restart`` says that steps were taken back (another attempt went on from a checkpoint): forget what was read
    before, this is everything. ``rows`` are (n, 8) of step and STEP_FIELDS as float64; ``snapshot`` is the newest if
    that is new. ``position`` counts from 1 while the run is queued.
    """

    record: RunRecord
    cursor: Cursor
    restart: bool
    rows: np.ndarray
    evals: pd.DataFrame
    marks: pd.DataFrame
    snapshot: SnapshotEvent | None
    position: int | None


def columns_of(experiment: Experiment) -> dict[str, Any]:
    """What tables of runs list of an experiment. Raises ConfigError if a part is not registered."""
    clip, prune, train = experiment.clip, experiment.prune, experiment.train
    return {
        "digest": experiment.digest,
        "experiment": experiment.to_json(),
        "data": experiment.data.registered_as,
        "model": experiment.model.registered_as,
        "clip": clip and clip.registered_as,
        "threshold": clip and clip.threshold,
        "prune": prune and prune.criterion.registered_as,
        "scope": prune and prune.scope,
        "schedule": prune and prune.schedule.registered_as,
        "target": prune and prune.schedule.final,
        "optimizer": train.optimizer,
        "lr": train.lr,
        "batch_size": train.batch_size,
        "seed": train.seed,
        "steps": train.steps,
    }


def record_of(row: Mapping[str, Any], *, read_only: bool = False) -> RunRecord:
    """The record in a row of the table of runs."""
    names = RunRecord.__dataclass_fields__.keys() - {"summary", "settings", "read_only"}
    return RunRecord(
        **{name: row[name] for name in names},
        summary=json.loads(row["summary"]),
        settings=row["experiment"],
        read_only=read_only,
    )


def race_of(parent: str | None) -> str:
    """The id of the race that a run with this ``parent`` is a lane of; empty where it is none."""
    return parent if parent is not None and parent.startswith(RACE) else ""


def number(value: Any) -> float | None:
    """A float as databases keep it: None where it is not a number."""
    return None if value is None or math.isnan(value) else float(value)


@functools.lru_cache(maxsize=256)
def _experiment(text: str) -> Experiment:
    # frozen, so one object may serve all who ask; a page asks for it several times a second
    try:
        return Experiment.from_json(text)
    except ConfigError as error:
        raise ConfigError(f"The settings of this run cannot be read here: {error}") from None
