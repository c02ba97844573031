"""What the store gives back of a sweep."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from sqlalchemy import select

from prune_core.sweeping import Sweep, labels
from prune_core.tracking import schema
from prune_core.tracking.database import Database
from prune_core.tracking.records import Publishable

MEASURED = (
    *("n", "seconds", "parameters", "nonzero", "dense_bytes", "kept_bytes", "macs", "kept_macs"),
    *("latency_ms", "latency_low_ms", "latency_high_ms"),
)
"""What a run measures of its model when it ends, as its summary names it."""

SETTINGS = ("model", "data", "clip", "threshold", "prune", "scope", "schedule", "target")
NUMBERS = ("threshold", "target", "accuracy", "loss", "sparsity", *MEASURED)


@dataclass(frozen=True)
class SweepRecord(Publishable):
    """A sweep as of one moment. Counts are of its members, without the training that they share.

    ``done`` holds those that are over in whatever way, ``failed`` those of them that gave nothing, ``reused`` those
    whose run was there already. ``estimate`` is what was estimated before it began. ``published`` is MLflow's id of it;
    ``publishing`` says "waiting", since when somebody is at it, or why it failed.
    """

    id: str
    name: str
    owner: str
    priority: int
    status: str
    reason: str
    total: int
    done: int
    failed: int
    reused: int
    running: int
    created: float
    ended: float | None
    estimate: dict[str, Any]
    published: str
    publishing: str
    settings: str = field(repr=False)

    @property
    def sweep(self) -> Sweep:
        """What was asked for. Raises ConfigError where a part is not registered in this process."""
        return _sweep(self.settings)

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it will run by itself any more."""
        return self.status != "running"


def sweep_of(row: Mapping[str, Any], counts: Mapping[tuple[str, str, str], int]) -> SweepRecord:
    """The record in a row of the table of sweeps; ``counts`` of members by state, origin and status of the run."""
    names = (
        *("id", "name", "owner", "priority", "status", "reason", "total", "created", "ended", "settings"),
        *("published", "publishing"),
    )
    over = {key: n for key, n in counts.items() if key[0] == "done"}
    return SweepRecord(
        **{name: row[name] for name in names},
        estimate=json.loads(row["estimate"]),
        done=sum(over.values()),
        failed=sum(n for (_, _, status), n in over.items() if status in ("failed", "cancelled", "")),
        reused=sum(n for (_, origin, _), n in counts.items() if origin == "reused"),
        running=sum(n for (_, _, status), n in counts.items() if status in ("running", "paused")),
    )


def results(database: Database, record: SweepRecord) -> pd.DataFrame:
    """A row a member, in their order, as far as they are: what changed, and what was measured.

    Columns: member, run, origin ("", "run", "reused"), status ("waiting" or the run's), note; a column a swept field,
    with numbers as they are and parts by name; the run's model, data, clip, threshold, prune, scope, schedule, target,
    seed; accuracy, loss, sparsity, n, seconds, parameters, nonzero, dense_bytes, kept_bytes, macs, kept_macs,
    latency_ms with latency_low_ms and latency_high_ms. What is not known is NaN.
    """
    m, r = schema.members.c, schema.runs.c
    columns = [r[name] for name in (*SETTINGS, "seed", "accuracy", "loss", "sparsity", "summary")]
    query = (
        select(m.place, m.run_id, m.origin, m.state, m.note, m.changes, r.status, *columns)
        .select_from(schema.members.outerjoin(schema.runs, m.run_id == r.id))
        .where(m.sweep_id == record.id, m.place >= 0)
        .order_by(m.place)
    )
    with database.reading() as connection:
        rows = connection.execute(query).all()
    summaries = [json.loads(row.summary) if row.summary else {} for row in rows]
    changes = [json.loads(row.changes) for row in rows]
    frame: dict[str, Any] = {
        "member": [row.place for row in rows],
        "run": [row.run_id or "" for row in rows],
        "origin": [row.origin for row in rows],
        "status": [row.status or ("failed" if row.state == "done" else "waiting") for row in rows],
        "note": [row.note for row in rows],
    }
    for path in record.sweep.space.paths:
        frame[path] = _labelled([change.get(path) for change in changes])
    for name in SETTINGS:
        frame.setdefault(name, [getattr(row, name) for row in rows])
    frame["seed"] = pd.array([row.seed for row in rows], dtype="Int64")
    for name in ("accuracy", "loss", "sparsity"):
        frame[name] = [getattr(row, name) for row in rows]
    for name in MEASURED:
        frame[name] = [summary.get(name) for summary in summaries]
    found = pd.DataFrame(frame)
    return found.astype(dict.fromkeys(NUMBERS, "float64") | {"member": "int64"})


def _labelled(values: list[Any]) -> pd.Series:
    named = labels(values)
    keys = [json.dumps(value, sort_keys=True) for value in values]
    return pd.Series([named[key] for key in keys]).infer_objects()


@functools.lru_cache(maxsize=64)
def _sweep(text: str) -> Sweep:
    return Sweep.from_json(text)
