"""The live store's tables, and how steps are packed.

Steps lie in chunks of some hundred: a flush is one small write however fast a run is, and a reader gets arrays without
a Python object for every number. All else is a row each.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from sqlalchemy import BigInteger, Column, Double, Index, Integer, LargeBinary, MetaData, String, Table, Text

from prune_core.events import STEP_FIELDS

SCHEMA = 3  # raise it when a table changes, and say in database.py how an older store becomes like this
CHUNK = 256  # steps up to which the newest chunk grows before another begins
WIDTH = 1 + len(STEP_FIELDS)

ROW = BigInteger().with_variant(Integer, "sqlite")  # two thousand million rows are a year of a busy lab

metadata = MetaData()

about = Table("lab_about", metadata, Column("key", String(20), primary_key=True), Column("value", Integer))

runs = Table(
    "lab_runs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(120), nullable=False, default=""),
    Column("status", String(10), nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("owner", String(64), nullable=False, default=""),
    Column("priority", Integer, nullable=False, default=0),
    Column("parent", String(64)),
    # the experiment: whole, and what tables list of it
    Column("digest", String(16), nullable=False),
    Column("experiment", Text, nullable=False),
    Column("data", String(64), nullable=False),
    Column("model", String(64), nullable=False),
    Column("clip", String(64)),
    Column("threshold", Double),
    Column("prune", String(64)),
    Column("scope", String(16)),
    Column("schedule", String(64)),
    Column("target", Double),
    Column("optimizer", String(16), nullable=False),
    Column("lr", Double, nullable=False),
    Column("batch_size", Integer, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("steps", Integer, nullable=False),
    # who runs it; the token is the right to write
    Column("attempt", Integer, nullable=False, default=1),
    Column("token", String(32), nullable=False, default=""),
    Column("worker", String(120), nullable=False, default=""),
    Column("machine", String(200), nullable=False, default=""),
    Column("pid", Integer),
    Column("pid_started", Double),
    # how far it is
    Column("step", Integer, nullable=False, default=0),
    Column("checkpoint", Integer, nullable=False, default=0),
    Column("accuracy", Double),
    Column("loss", Double),
    Column("sparsity", Double),
    Column("created", Double, nullable=False),
    Column("started", Double),
    Column("ended", Double),
    Column("heartbeat", Double),
    Column("deleted", Double),
    Column("summary", Text, nullable=False, default="{}"),
    Column("published", String(64), nullable=False, default=""),
    Column("publishing", String(400), nullable=False, default=""),
    Index("lab_runs_status", "status"),
    Index("lab_runs_publishing", "publishing"),
    Index("lab_runs_digest", "digest"),
    Index("lab_runs_parent", "parent"),
    Index("lab_runs_turn", "status", "priority", "owner", "created"),
)

chunks = Table(
    "lab_chunks",
    metadata,
    Column("run_id", String(64), primary_key=True),
    Column("first", Integer, primary_key=True, autoincrement=False),
    Column("last", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

evals = Table(
    "lab_evals",
    metadata,
    Column("id", ROW, primary_key=True),
    Column("run_id", String(64), nullable=False),
    Column("step", Integer, nullable=False),
    Column("accuracy", Double),
    Column("loss", Double),  # NULL where it is not a number
    Column("n", Integer, nullable=False),
    Column("per_class", Text, nullable=False),
    Index("lab_evals_run", "run_id", "id"),
    sqlite_autoincrement=True,  # an id is never given twice: readers ask for what is after one
)

marks = Table(
    "lab_marks",
    metadata,
    Column("id", ROW, primary_key=True),
    Column("run_id", String(64), nullable=False),
    Column("step", Integer, nullable=False),
    Column("field", String(32), nullable=False),
    Column("value", Double, nullable=False),
    Column("sender", String(120), nullable=False, default=""),
    Index("lab_marks_run", "run_id", "id"),
    sqlite_autoincrement=True,
)

snapshots = Table(
    "lab_snapshots",
    metadata,
    Column("run_id", String(64), primary_key=True),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

masks = Table(
    "lab_masks",
    metadata,
    Column("run_id", String(64), primary_key=True),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

controls = Table(
    "lab_controls",
    metadata,
    Column("id", ROW, primary_key=True),
    Column("run_id", String(64), nullable=False),
    Column("command", String(32), nullable=False),
    Column("value", Double),
    Column("sender", String(120), nullable=False, default=""),
    Column("created", Double, nullable=False),
    Index("lab_controls_run", "run_id", "id"),
    sqlite_autoincrement=True,
)

sweeps = Table(
    "lab_sweeps",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(120), nullable=False, default=""),
    Column("owner", String(64), nullable=False, default=""),
    Column("priority", Integer, nullable=False, default=0),
    Column("status", String(10), nullable=False),  # running, stopped, finished, failed
    Column("reason", Text, nullable=False, default=""),
    Column("settings", Text, nullable=False),  # the sweep as JSON
    Column("total", Integer, nullable=False),  # members, without trunks
    Column("estimate", Text, nullable=False, default="{}"),
    Column("created", Double, nullable=False),
    Column("ended", Double),
    Column("deleted", Double),
    Column("published", String(64), nullable=False, default="", server_default=""),
    Column("publishing", String(400), nullable=False, default="", server_default=""),
    Index("lab_sweeps_status", "status"),
)

members = Table(
    "lab_members",
    metadata,
    Column("sweep_id", String(64), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),  # from 0; trunks below 0
    Column("state", String(8), nullable=False),  # waiting (for its turn), given (to a run), done
    Column("changes", Text, nullable=False),
    Column("digest", String(16), nullable=False),
    Column("trunk", Integer),  # the place of what it begins with
    Column("until", Integer),  # a trunk: how many steps it makes
    Column("run_id", String(64)),
    Column("origin", String(8), nullable=False, default=""),  # run, reused
    Column("tries", Integer, nullable=False, default=0),  # times its process died
    Column("note", Text, nullable=False, default=""),
    Index("lab_members_state", "sweep_id", "state", "place"),
    Index("lab_members_run", "run_id"),
)

trials = Table(
    "lab_trials",
    metadata,
    Column("id", String(64), primary_key=True),  # of the sweep that makes its runs
    Column("kind", String(64), nullable=False),
    Column("claim", Text, nullable=False),  # its settings as JSON
    Column("current", String(32)),  # what it asks for; gone once another trial of the same took its place
    Column("figures", Text),  # the table of measured figures as JSON, once it is there
    Column("verdict", Text, nullable=False, default=""),
    Column("problem", Text, nullable=False, default=""),
    # who measures it; the token is the right to write what came out
    Column("token", String(32), nullable=False, default=""),
    Column("machine", String(200), nullable=False, default=""),
    Column("pid", Integer),
    Column("pid_started", Double),
    Column("heartbeat", Double),
    Index("lab_trials_current", "current", unique=True),  # so that nobody begins one twice
)

PARTS = (chunks, evals, marks, snapshots, masks, controls)
"""The tables that hold rows of a run, all with a ``run_id``."""


def pack(rows: np.ndarray) -> bytes:
    """Rows (n, 8) of step and STEP_FIELDS, as a chunk: the steps as int32, then the values as float32.

    Values are computed in float32, so nothing is lost.
    """
    return rows[:, 0].astype("<i4").tobytes() + rows[:, 1:].astype("<f4").tobytes()


def unpack(data: Iterable[bytes]) -> np.ndarray:
    """Rows (n, 8) as float64 from chunks in their order."""
    parts = []
    for chunk in data:
        n = len(chunk) // (4 * WIDTH)
        rows = np.empty((n, WIDTH))
        rows[:, 0] = np.frombuffer(chunk, "<i4", n)
        rows[:, 1:] = np.frombuffer(chunk, "<f4", n * (WIDTH - 1), 4 * n).reshape(n, WIDTH - 1)
        parts.append(rows)
    return np.concatenate(parts) if parts else np.empty((0, WIDTH))
