"""The table of all runs: read once a second for everybody who looks at it, filtered for each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from prune_core.errors import LabError
from prune_core.figures.words import number, percent
from prune_core.tracking import RunRecord, Store
from prune_ui import session
from prune_ui.naming import in_text, part_label
from prune_ui.session import Key

FRESH_S = 0.9
FIRST = 100  # rows that the page begins with: they stand soonest, and are more than anybody sees at once
MOST = 1000  # what a filter looks through, and other pages; more are sent only when asked for: 10,000 are 1.6 MB
WHOLE_MOST = 20_000
COUNT_S = 10.0  # until runs are counted again: counting reads all of them
ACTIVE = ("queued", "running", "paused")
STATUS = {
    "sample": "sample",
    "queued": "waiting",
    "running": "running",
    "paused": "paused",
    "finished": "finished",
    "stopped": "stopped",
    "diverged": "diverged",
    "failed": "failed",
    "cancelled": "cancelled",
}
COLUMNS = (
    *("id", "name", "status", "data", "model", "clip", "threshold", "prune", "target", "lr", "seed", "step", "steps"),
    *("accuracy", "loss", "sparsity", "owner", "created", "started", "ended", "digest"),
)

MORE: Key[int] = Key("runs/more", 0)  # what this visitor asked for: 0 nothing more, 1 the newest MOST, 2 all


def rows_wanted(filtered: bool) -> int:
    """How many of the newest runs this visitor's table is made of."""
    return (MOST if filtered else min(FIRST, MOST), MOST, WHOLE_MOST)[MORE.get()]


@dataclass(frozen=True, eq=False)
class Listing:
    """All runs, samples first, then the newest; ``sample`` tells them apart. ``problem`` says why it may be old.

    What is made of it for the eye is made once, for all who look.
    """

    frame: pd.DataFrame
    problem: str = ""
    older: int = 0
    """Runs in the store that are not among them."""

    @property
    def active(self) -> bool:
        """Whether any of them waits or runs."""
        return bool(self.frame["status"].isin(ACTIVE).any())

    @cached_property
    def shown(self) -> pd.DataFrame:
        """The table as people read it."""
        return displayed(self.frame)

    @cached_property
    def words(self) -> list[str]:
        """All that a row can be found by, in small letters."""
        names = ("run", "status", "model", "data", "clipping", "pruning")
        columns = [self.shown[name] for name in names] + [self.frame[name] for name in ("id", "digest")]
        return [" ".join(map(str, row)).lower() for row in zip(*columns, strict=True)]


_lock = threading.Lock()
_known: dict[tuple[int, int], tuple[float, Listing]] = {}  # by store and number of rows
_counted: dict[int, tuple[float, int]] = {}


def listing(rows: int | None = None, *, now: bool = False) -> Listing:
    """The newest ``rows`` (by default MOST) runs as of the last second; ``now`` reads them first, for after a click."""
    try:
        store = session.store()
    except LabError as error:  # it could never be opened
        return Listing(pd.DataFrame(columns=[*COLUMNS, "sample"]), str(error))
    with _lock:
        key = id(store), rows or MOST
        if now:  # tables of other lengths are to be read again too
            for other in [k for k in _known if k != key]:
                _known[other] = (0.0, _known[other][1])
            _counted.clear()
        at, known = _known.get(key, (0.0, None))
        if known is not None and not now and time.monotonic() - at < FRESH_S:
            return known
        try:
            runs = store.runs(limit=key[1])[list(COLUMNS)].assign(sample=False)
            older = _count(store) - len(runs) if len(runs) >= key[1] else 0
            frames = [_sample_rows(store.samples()), runs]
            found = Listing(pd.concat([f for f in frames if len(f)] or frames, ignore_index=True), older=max(0, older))
            same = known is not None and found.older == known.older and found.frame.equals(known.frame)
            if same and known is not None and not known.problem and not known.active:
                found = known  # with what was made of it
        except LabError as error:
            frame = known.frame if known is not None else pd.DataFrame(columns=[*COLUMNS, "sample"])
            found = Listing(frame, str(error))
        _known[key] = (time.monotonic(), found)
        return found


def _count(store: Store) -> int:
    at, n = _counted.get(id(store), (0.0, 0))
    if not at or time.monotonic() - at >= COUNT_S:
        _counted[id(store)] = at, n = time.monotonic(), store.count()
    return n


def matching(found: Listing, text: str, statuses: list[str], owner: str | None) -> np.ndarray:
    """Numbers of the rows that hold every word of ``text`` and have one of ``statuses`` and that owner.

    No statuses mean any, as does no owner.
    """
    frame = found.frame
    keep = np.ones(len(frame), bool)
    if statuses:
        keep &= frame["status"].mask(frame["sample"].astype(bool), "sample").isin(statuses).to_numpy()
    if owner is not None:
        keep &= (frame["owner"] == owner).to_numpy()
    if wanted := text.lower().split():
        keep &= np.fromiter((all(w in words for w in wanted) for words in found.words), bool, len(frame))
    return np.flatnonzero(keep)


def displayed(frame: pd.DataFrame) -> pd.DataFrame:
    """The table as people read it: words for names, one column for each of the two ideas. Shares are in [0, 1]."""
    rows = frame.to_dict("records")
    ended = frame["ended"].fillna(time.time()) - frame["started"]
    return pd.DataFrame(
        {
            "run": [r["name"] or r["id"] for r in rows],
            "status": [STATUS["sample"] if r["sample"] else STATUS.get(r["status"], r["status"]) for r in rows],
            "progress": [r["step"] / r["steps"] if r["steps"] else 0.0 for r in rows],
            "test accuracy": frame["accuracy"].astype(float),
            "weights removed": frame["sparsity"].astype(float),
            "clipping": [_idea("clip", _text(r["clip"]), number, r["threshold"]) for r in rows],
            "pruning": [_idea("prune.criterion", _text(r["prune"]), _whole, r["target"]) for r in rows],
            "model": [part_label("model", _text(r["model"])) for r in rows],
            "data": [part_label("data", _text(r["data"])) for r in rows],
            "started": pd.to_datetime(frame["started"].fillna(frame["created"]), unit="s", utc=True),
            "took": ended.astype(float),
            "learning rate": frame["lr"].astype(float),
            "seed": frame["seed"].astype("Int64"),
        }
    )


def table_csv(found: Listing, at: np.ndarray) -> str:
    """The rows numbered ``at`` as CSV, with ids and digests; shares are in [0, 1]."""
    names = found.frame[["id", "digest"]].iloc[at]
    return str(found.shown.iloc[at].assign(id=names["id"], digest=names["digest"]).to_csv(index=False))


def described(row: Mapping[str, Any]) -> str:
    """A row of the listing in a few words."""
    parts = [f"{part_label('model', _text(row['model']))} on {part_label('data', _text(row['data']))}"]
    if clip := _text(row["clip"]):
        parts.append(f"clipping {_idea('clip', clip, number, row['threshold'])}")
    if prune := _text(row["prune"]):
        parts.append(f"{_idea('prune.criterion', prune, _whole, row['target'])} pruned")
    return " · ".join(parts)


def _idea(family: str, name: str, write: Callable[[float], str], value: float) -> str:
    return f"{in_text(part_label(family, name))} {write(value)}" if name else "–"


def _whole(share: float) -> str:
    return percent(share, 0)


def _text(value: object) -> str:
    return value if isinstance(value, str) and value not in ("nan", "None") else ""


def _sample_rows(samples: list[RunRecord]) -> pd.DataFrame:
    rows = []
    for record in samples:
        try:
            e = record.experiment
        except LabError:  # made with a part that this process does not know
            continue
        rows.append(
            {
                **{name: getattr(record, name) for name in COLUMNS if hasattr(record, name)},
                "data": e.data.registered_as,
                "model": e.model.registered_as,
                "clip": e.clip.registered_as if e.clip else "",
                "threshold": e.clip.threshold if e.clip else float("nan"),
                "prune": e.prune.criterion.registered_as if e.prune else "",
                "target": e.prune.schedule.final if e.prune else float("nan"),
                "lr": e.train.lr,
                "seed": e.train.seed,
                "sample": True,
            }
        )
    return pd.DataFrame(rows, columns=[*COLUMNS, "sample"])
