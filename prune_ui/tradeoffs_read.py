"""What the Trade-offs page shows of a sweep: one reading for all who look, and the sample that ships with the lab.

Counts are read at most once a second. The table of results, of which there may be thousands of rows, is read when
something has finished, and never so often that reading it takes more than a fifth of the time.
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

import pandas as pd

from prune_core.errors import LabError
from prune_core.jobs import Progress, progress_of
from prune_core.sweeping import Sweep
from prune_core.tracking import Publishable, SweepRecord, Sweeps, results
from prune_ui import session
from prune_ui.naming import in_text, part_label
from prune_ui.theme import ASSETS

T = TypeVar("T")
SAMPLE = "sample"
FRESH_S, ENDED_S = 0.9, 4.0  # until a sweep that runs, or has ended, is looked at again
EASE = 5  # times as long as a reading took, until the next
MOST = 16  # sweeps kept in memory; those looked at longest ago go first
FAMILIES = {"data": "data", "model": "model", "clip": "clip", "prune": "prune.criterion", "schedule": "prune.schedule"}


@dataclass(frozen=True)
class View(Publishable):
    """A sweep as of one moment. ``results`` has labels where the store has names; ``raw`` is as the store has it.

    ``problem`` says why the store could not be read just now; what is shown is then older. ``published`` and
    ``publishing`` are as in SweepRecord.
    """

    id: str
    name: str
    owner: str
    status: str
    reason: str
    sweep: Sweep
    raw: pd.DataFrame
    results: pd.DataFrame
    progress: Progress | None = None
    problem: str = ""
    published: str = ""
    publishing: str = ""
    _made: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def sample(self) -> bool:
        """Whether it ships with the lab: its figures were measured, its runs are not in the store."""
        return self.id == SAMPLE

    @property
    def running(self) -> bool:
        """Whether more will come by itself."""
        return self.status == "running"

    @property
    def mine(self) -> bool:
        """Whether this visitor may steer it: their own, or one of nobody."""
        return not self.sample and self.owner in ("", session.owner())

    def made(self, name: Any, make: Callable[[], T]) -> T:
        """``make()``, once for all who look at this view. ``name`` stands for it and whatever it depends on besides."""
        if name not in self._made:
            while len(self._made) > 64:  # filters and axes of many visitors
                self._made.pop(next(iter(self._made)), None)
            self._made[name] = make()
        found: T = self._made[name]
        return found


@dataclass
class _Kept:
    view: View
    state: tuple[Any, ...]
    checked: float
    pause: float = 0.0
    glance: tuple[Any, ...] = ()  # of a sweep all of which is done: what tells that this is still so


_known: OrderedDict[tuple[int, str], _Kept] = OrderedDict()
_lock = threading.Lock()


def view(sweep_id: str, *, now: bool = False) -> View:
    """The sweep as of the last second, or of the last seconds where it has ended; ``now`` reads it first, for after a
    click. Raises LabError.
    """
    if sweep_id == SAMPLE:
        return sample()
    store = session.store()
    key = (id(store), sweep_id)
    with _lock:
        kept = _known.get(key)
        pause = FRESH_S if kept is None or kept.view.running else ENDED_S
        if kept is not None and not now and time.monotonic() - kept.checked < pause:
            return kept.view
    try:
        sweeps = Sweeps(store)
        glance = sweeps.glance(sweep_id)
        if kept is not None and kept.glance == glance and not now:  # counting thousands of members takes a while
            kept.checked = time.monotonic()
            return kept.view
        record = sweeps.record(sweep_id)
        kept = _read(store.database, record, kept, now)
        kept.glance = glance if record.status == "finished" else ()
    except LabError as error:
        if kept is None or "There is no" in str(error):
            raise
        kept = _Kept(_with(kept.view, problem=str(error)), (), time.monotonic())
    with _lock:
        _known[key] = kept
        _known.move_to_end(key)
        while len(_known) > MOST:
            _known.popitem(last=False)
    return kept.view


def _read(database: Any, record: SweepRecord, kept: _Kept | None, now: bool) -> _Kept:
    began = time.monotonic()
    state = (record.status, record.done, record.failed)
    progress = progress_of(record, time.time())
    early = kept is not None and began - kept.checked < kept.pause and not record.has_ended and not now
    if kept is not None and (kept.state == state or early):
        mlflow = {"published": record.published, "publishing": record.publishing}
        same = _with(kept.view, **mlflow, **({"progress": progress} if record.status == "running" else {}))
        return _Kept(same, kept.state, began if kept.state == state else kept.checked, kept.pause)
    raw = results(database, record)
    sweep = record.sweep
    made = View(
        record.id, record.name, record.owner, record.status, record.reason, sweep, raw, dressed(raw), progress,
        published=record.published, publishing=record.publishing,
    )  # fmt: skip
    return _Kept(made, state, began, EASE * (time.monotonic() - began))


def _with(old: View, **changes: Any) -> View:
    """A copy that shares what was made of the same results."""
    from dataclasses import replace

    return replace(old, **changes)


def dressed(raw: pd.DataFrame) -> pd.DataFrame:
    """The results with the labels of models, data and methods in place of their names."""
    found = {}
    for column, family in FAMILIES.items():
        if column in raw:
            names = {n: _called(family, n) for n in raw[column].dropna().unique() if isinstance(n, str)}
            found[column] = raw[column].map(lambda name, names=names: names.get(name, name), na_action="ignore")
    return raw.assign(**found)


def _called(family: str, name: str) -> str:
    """``value 0.01``, as a swept part is labelled, is the part of that name and its number."""
    first, space, rest = name.partition(" ")
    return in_text(part_label(family, first)) + space + rest


@cache
def sample() -> View:
    """The finished sweep that ships with the lab. Raises LabError where the file is not there or cannot be read."""
    path = ASSETS / "samples" / "sweep.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        table = content["results"]
        raw = pd.DataFrame(table["data"], columns=table["columns"])
        sweep = Sweep.from_dict(content["sweep"])
        name = str(content["name"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabError(f"The sample sweep cannot be read: {' '.join(str(error).split())[:160]}.") from None
    for column in ("threshold", "target"):
        raw[column] = raw[column].astype(float)
    return View(SAMPLE, name, "", "finished", "", sweep, raw, dressed(raw))


_listed: dict[int, tuple[float, list[SweepRecord]]] = {}  # by store: when, and what


def listing(*, now: bool = False) -> list[SweepRecord]:
    """The newest sweeps as of the last seconds, for all who look; empty where the store cannot be read."""
    try:
        store = session.store()
        at, known = _listed.get(id(store), (0.0, []))
        if now or time.monotonic() - at >= ENDED_S:
            at, known = time.monotonic(), Sweeps(store).list(limit=100, counts=False)
            _listed.clear()
            _listed[id(store)] = at, known
        return known
    except LabError:
        return []
