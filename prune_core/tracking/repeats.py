"""A race with other seeds: which runs those are, how far they are, and what all of them measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd
from sqlalchemy import select

from prune_core.comparing import RACE_COLUMNS
from prune_core.experiment import Experiment
from prune_core.tracking import schema
from prune_core.tracking.giving import DONE, as_it_says
from prune_core.tracking.records import RunRecord
from prune_core.tracking.store import Store
from prune_core.training import LaneName, lane_of, lanes_of

runs = schema.runs
GOING = ("queued", "running", "paused")
SEEDS = 5  # a race and four repeats


@dataclass(frozen=True)
class Repeats:
    """The lanes with other seeds: ids of those that are ``done``, by seed and lane, and how many are ``going``."""

    done: dict[tuple[int, LaneName], str]
    going: int
    total: int


def seeds_of(experiment: Experiment, n: int = SEEDS) -> list[int]:
    """The seed of ``experiment`` and those that follow it."""
    return [(experiment.train.seed + k) % 2**31 for k in range(n)]


def repeat_space(experiment: Experiment, n: int = SEEDS) -> list[dict[str, Any]]:
    """What a sweep changes in ``experiment`` to run its four lanes with the seeds that follow."""
    lanes = [{"clip": one.clip, "prune": one.prune} for one in lanes_of(experiment).values()]
    return [{**lane, "train.seed": seed} for seed in seeds_of(experiment, n)[1:] for lane in lanes]


def repeats(store: Store, experiment: Experiment, n: int = SEEDS) -> Repeats:
    """The lanes of ``experiment`` with the seeds that follow, found by their digests; interventions rule a run out."""
    wanted = {
        one.digest: (seed, lane)
        for seed in seeds_of(experiment, n)[1:]
        for lane, one in lanes_of(experiment.with_(**{"train.seed": seed})).items()
    }
    c = runs.c
    query = select(c.id, c.digest, c.status).where(c.digest.in_(list(wanted)), *as_it_says((*DONE, *GOING)))
    done: dict[tuple[int, LaneName], str] = {}
    going: set[str] = set()
    with store.database.reading() as connection:
        for row in connection.execute(query.order_by(c.id)):
            if row.status in DONE:
                done.setdefault(wanted[row.digest], row.id)
            else:
                going.add(row.digest)
    going -= {digest for digest, key in wanted.items() if key in done}
    return Repeats(done, len(going), len(wanted))


def race_table(store: Store, run_ids: Iterable[str]) -> pd.DataFrame:
    """A row a run with RACE_COLUMNS, for ``comparing.race_finding``: all as recorded."""
    return pd.DataFrame([race_row(store, store.run(run_id)) for run_id in run_ids], columns=list(RACE_COLUMNS))


def race_row(store: Store, record: RunRecord) -> dict[str, Any]:
    """One row: the share clipped is the mean over all recorded steps."""
    experiment, summary = record.experiment, record.summary
    clipped = float(store.history(record.id)["clipped"].mean()) if record.step else float("nan")
    return {
        "lane": lane_of(experiment), "seed": experiment.train.seed, "status": record.status, "step": record.step,
        "accuracy": record.accuracy, "loss": record.loss, "parameters": summary.get("parameters"),
        "nonzero": summary.get("nonzero"), "clipped": clipped, "classes": experiment.data.info.classes,
    }  # fmt: skip
