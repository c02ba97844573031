"""What pages show of a run: one reader a run for everybody who watches it.

A page never reads the store while it draws. ``feed().get(run_id)`` returns a snapshot that is ready: the first call for
a run reads it, and from then on one thread asks for what is new, however many people watch. Figures are made once a
snapshot, not once a visitor. The thread ends when nobody watches a run that is still going.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd

from prune_core.errors import LabError, RunNotFoundError
from prune_core.events import ENDED, STEP_FIELDS, SnapshotEvent
from prune_core.figures.thinning import keep
from prune_ui import session

if TYPE_CHECKING:
    from prune_core.tracking import Cursor, LiveDelta, RunRecord, Store

T = TypeVar("T")

TICK_S = 0.2  # as often as runs flush
UNWATCHED_S = 10.0  # a page asks every 0.5 s: who has not asked for so long has left
CHECK_S = 1.0  # how old an ended run's state may be when a page asks for it
RATE_S = 6.0  # seconds over which speed is measured
MOST_ROWS = 20_000  # rows kept of a long run; beyond, half of them go and the extremes stay
MEANS = [1 + STEP_FIELDS.index(name) for name in ("clipped", "cosine")]  # columns whose mean over all steps is kept
MOST_RUNS = 160  # runs kept in memory; those watched longest ago go first


@dataclass(frozen=True)
class LiveRun:
    """A run as of one moment; never changes. ``version`` grows with every new one of the same run.

    ``history`` has a row a step (of long runs fewer, with every extreme): step and STEP_FIELDS. ``means`` are those of
    clipped and cosine over all steps. ``rate`` is in steps/s, None while unknown. ``position`` is that in the queue.
    ``problem`` says why the store could not be read just now; what is shown is then older.
    """

    record: RunRecord
    history: pd.DataFrame
    evals: pd.DataFrame
    marks: pd.DataFrame
    snapshot: SnapshotEvent | None
    means: dict[str, float]
    rate: float | None = None
    position: int | None = None
    problem: str = ""
    version: int = 0
    _made: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def active(self) -> bool:
        """Whether it waits, runs or is paused."""
        return self.record.status not in ENDED

    @property
    def last(self) -> dict[str, float]:
        """The newest step's values; empty before the first."""
        if not len(self.history):
            return {}
        row = self.history.iloc[-1]
        return {name: float(row[name]) for name in ("step", *STEP_FIELDS)}

    @property
    def step(self) -> int:
        """Steps made, as far as known."""
        return max(int(self.record.step or 0), int(self.history["step"].iloc[-1]) if len(self.history) else 0)

    @property
    def seconds_left(self) -> float | None:
        """Time left at the present speed; None while unknown."""
        if self.record.status != "running" or not self.rate:
            return None
        return max(self.record.steps - self.step, 0) / self.rate

    def made(self, name: Any, make: Callable[[LiveRun], T]) -> T:
        """``make(self)``, once for all who watch. ``name`` stands for it and whatever it depends on besides."""
        if name not in self._made:
            self._made[name] = make(self)
        return self._made[name]


class _Reader:
    """Everything known of one run, and how far it has been read."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.lock = threading.Lock()
        self.asked = time.monotonic()
        self.checked = 0.0
        self.view: LiveRun | None = None
        self.cursor: Cursor | None = None
        self.speed: deque[tuple[float, int]] = deque()
        self.forget()

    def forget(self) -> None:
        """Start over: another attempt went on from a checkpoint, and steps after it were taken back."""
        self.rows = np.empty((0, 1 + len(STEP_FIELDS)))
        self.sums, self.counts = np.zeros(2), np.zeros(2)  # of clipped and cosine, over every step
        self.evals: pd.DataFrame | None = None
        self.marks: pd.DataFrame | None = None
        self.snapshot: SnapshotEvent | None = None

    def read(self, store: Store) -> None:
        """Ask for what is new; makes a new view where something is."""
        with self.lock:
            self.checked = time.monotonic()
            try:
                delta = store.live(self.run_id, self.cursor)
            except RunNotFoundError:
                raise
            except LabError as error:  # the store is busy or away: what is known stays on the page
                if self.view is None:
                    raise
                if self.view.problem != str(error):
                    self._publish(self.view.record, self.view.position, str(error))
                return
            fresh = self._take(delta)
            self._measure(delta.record)
            old = self.view
            if (
                old is None
                or fresh
                or old.problem
                or delta.position != old.position
                or _differs(old.record, delta.record)
            ):
                self._publish(delta.record, delta.position)

    def _take(self, delta: LiveDelta) -> bool:
        """Add what is new to what is known; returns whether there was anything."""
        if delta.restart:
            self.forget()
        self.cursor = delta.cursor
        self.evals = _joined(self.evals, delta.evals)
        self.marks = _joined(self.marks, delta.marks)
        self.snapshot = delta.snapshot or self.snapshot
        if len(delta.rows):
            middle = delta.rows[:, MEANS]
            good = np.isfinite(middle)
            self.sums += np.where(good, middle, 0).sum(axis=0)
            self.counts += good.sum(axis=0)
            self.rows = np.concatenate([self.rows, delta.rows])
        if len(self.rows) > MOST_ROWS:
            self.rows = self.rows[keep([self.rows[:, c] for c in range(1, self.rows.shape[1])], MOST_ROWS // 2)]
        return bool(len(delta.rows) or len(delta.evals) or len(delta.marks) or delta.snapshot is not None)

    def _measure(self, record: RunRecord) -> None:
        now = time.monotonic()
        step = int(self.rows[-1, 0]) if len(self.rows) else 0
        if record.status != "running":
            self.speed.clear()
            return
        self.speed.append((now, step))
        while len(self.speed) > 2 and now - self.speed[0][0] > RATE_S:
            self.speed.popleft()

    def _rate(self) -> float | None:
        if len(self.speed) < 2:
            return None
        (t0, s0), (t1, s1) = self.speed[0], self.speed[-1]
        return (s1 - s0) / (t1 - t0) if s1 > s0 and t1 - t0 >= 0.5 else None

    def _publish(self, record: RunRecord, position: int | None, problem: str = "") -> None:
        assert self.evals is not None and self.marks is not None
        history = pd.DataFrame(self.rows, columns=["step", *STEP_FIELDS]).astype({"step": np.int64})
        with np.errstate(invalid="ignore"):
            means = self.sums / np.where(self.counts > 0, self.counts, np.nan)
        self.view = LiveRun(
            record=record,
            history=history,
            evals=self.evals,
            marks=self.marks,
            snapshot=self.snapshot,
            means={"clipped": float(means[0]), "cosine": float(means[1])},
            rate=self._rate(),
            position=position,
            problem=problem,
            version=self.view.version + 1 if self.view else 1,
        )


class LiveFeed:
    """The process's readers, and the one thread that keeps those of active runs up to date."""

    def __init__(self, store: Callable[[], Store] = session.store, tick: float = TICK_S) -> None:
        self._store, self._tick = store, tick
        self._readers: OrderedDict[tuple[int, str], _Reader] = OrderedDict()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def get(self, run_id: str, *, now: bool = False) -> LiveRun:
        """The run as of the last tick; ``now`` reads what is new first, for after a click.

        Raises RunNotFoundError where there is no such run, StoreError where it cannot be read at all.
        """
        store = self._store()
        key = (id(store), run_id)
        with self._lock:
            reader = self._readers.get(key)
            if reader is None:
                reader = self._readers[key] = _Reader(run_id)
            self._readers.move_to_end(key)
            while len(self._readers) > MOST_RUNS:
                self._readers.popitem(last=False)
        reader.asked = time.monotonic()
        view = reader.view
        stale = view is not None and not view.active and time.monotonic() - reader.checked > CHECK_S
        if view is None or now or stale:
            try:
                reader.read(store)
            except LabError:
                with self._lock:
                    self._readers.pop(key, None)
                raise
            view = reader.view
            assert view is not None
        if view.active:
            self._wake()
        return view

    @property
    def running(self) -> bool:
        """Whether the thread is at work."""
        return self._thread is not None and self._thread.is_alive()

    def _wake(self) -> None:
        if self.running:
            return
        with self._lock:
            if not self.running:
                self._thread = threading.Thread(target=self._loop, name="live-feed", daemon=True)
                self._thread.start()

    def _loop(self) -> None:
        while True:
            began = time.monotonic()
            with self._lock:
                watched = [
                    r for r in self._readers.values() if r.view and r.view.active and began - r.asked < UNWATCHED_S
                ]
                if not watched:  # under the lock: whoever wakes next starts a new thread
                    self._thread = None
                    return
            for reader in watched:
                try:
                    reader.read(self._store())
                except LabError:  # it is gone: the next page to ask reads it itself and gets the error
                    with self._lock:
                        self._readers.pop((id(self._store()), reader.run_id), None)
            time.sleep(max(self._tick - (time.monotonic() - began), 0.02))


_feeds: dict[str, LiveFeed] = {}


def feed() -> LiveFeed:
    """The process's feed."""
    return _feeds.setdefault("feed", LiveFeed())


def _joined(known: pd.DataFrame | None, new: pd.DataFrame) -> pd.DataFrame:
    if known is None or not len(known):
        return new
    return pd.concat([known, new], ignore_index=True) if len(new) else known


def _differs(a: RunRecord, b: RunRecord) -> bool:
    """Whether something a page shows has changed; the heartbeat alone has not."""
    shown = ("status", "reason", "step", "started", "ended", "name", "summary", "published")
    return any(getattr(a, name, None) != getattr(b, name, None) for name in shown)
