"""What the Claims page shows of a trial: one reading for all who look, and the samples that ship with the lab."""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, TypeVar

import pandas as pd

from prune_core.claims import Claim, Verdict
from prune_core.errors import LabError
from prune_core.jobs import Progress, TrialHandle, table_of
from prune_ui import session
from prune_ui.theme import ASSETS

T = TypeVar("T")
SAMPLE = "sample"
FRESH_S, ENDED_S = 0.9, 4.0  # until a trial that goes on, or has ended, is looked at again
WAKE_S = 5.0  # how often whoever looks at a trial that goes on makes sure that there is an engine
MOST = 32  # trials kept in memory; those looked at longest ago go first


@dataclass(frozen=True)
class View:
    """A trial as of one moment. ``state`` is the handle's, or "sample"; ``verdict`` is None while there is none, and
    then ``problem`` may say why.
    """

    id: str
    claim: Claim
    state: str
    table: pd.DataFrame
    verdict: Verdict | None = None
    progress: Progress | None = None
    problem: str = ""
    owner: str = ""
    _made: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def sample(self) -> bool:
        """Whether it ships with the lab: measured, but its runs are not in the store."""
        return self.id == SAMPLE

    @property
    def going(self) -> bool:
        """Whether more will come by itself."""
        return self.state in ("running", "measuring")

    @property
    def mine(self) -> bool:
        """Whether this visitor may steer it: their own, or one of nobody."""
        return not self.sample and self.owner in ("", session.owner())

    def made(self, name: Any, make: Callable[[], T]) -> T:
        """``make()``, once for all who look at this view."""
        if name not in self._made:
            self._made[name] = make()
        found: T = self._made[name]
        return found


_known: OrderedDict[tuple[int, str], tuple[View, float]] = OrderedDict()
_woken: dict[str, float] = {}  # by trial: when an engine was looked for
_trouble: dict[str, str] = {}  # by trial: why there is none
_lock = threading.Lock()


def view(trial_id: str, *, now: bool = False) -> View:
    """The trial as of the last second, or of the last seconds where it has ended. Raises LabError."""
    key = (id(session.store()), trial_id)
    with _lock:
        kept, at = _known.get(key, (None, 0.0))
    if kept is not None and not now and time.monotonic() - at < (FRESH_S if kept.going else ENDED_S):
        return kept
    handle = session.lab().trial_handle(trial_id)
    found = _read(handle, kept)
    with _lock:
        _known[key] = found, time.monotonic()
        _known.move_to_end(key)
        while len(_known) > MOST:
            _known.popitem(last=False)
    return found


def _read(handle: TrialHandle, kept: View | None) -> View:
    state, progress, owner = handle.state, handle.sweep.progress, handle.sweep.record.owner
    if state == "running":
        _look_after(handle)
        progress = replace(progress, seconds_left=_seconds_left(handle, progress))
    trouble = _trouble.get(handle.id, "") if state == "running" else ""
    if kept is not None and kept.state == state and kept.progress is not None and kept.progress.done == progress.done:
        return replace(kept, progress=progress, problem=trouble if state == "running" else kept.problem)
    table, verdict, problem = handle.table(), None, trouble or handle.problem
    if state == "done":
        try:
            verdict = handle.verdict()
        except LabError as error:
            problem = str(error)
    return View(handle.id, handle.claim, state, table, verdict, progress, problem, owner)


def _seconds_left(handle: TrialHandle, progress: Progress) -> float | None:
    """From what workers spent on a run so far: hours during which the trial was stopped do not count."""
    own, left = progress.done - progress.reused, progress.total - progress.done
    if own < 2 or not left:
        return progress.seconds_left  # by the estimate
    at_once = min(left, max(1, progress.running, int(handle.sweep.record.estimate.get("workers", 1))))
    return handle.sweep.cost().seconds / own * left / at_once


def _look_after(handle: TrialHandle) -> None:
    """Have the engine look for work, and one that died started again: in a thread, for that may take seconds."""
    now = time.monotonic()
    with _lock:
        if now - _woken.get(handle.id, -WAKE_S) < WAKE_S:
            return
        for old in [trial for trial, at in _woken.items() if now - at > 10 * WAKE_S]:
            _woken.pop(old)
            _trouble.pop(old, None)
        _woken[handle.id] = now
    threading.Thread(target=_wake, args=(handle,), name="claims-wake", daemon=True).start()


def _wake(handle: TrialHandle) -> None:
    try:
        handle.sweep.wake()
        _trouble.pop(handle.id, None)
    except LabError as error:
        _trouble[handle.id] = str(error)


@cache
def samples() -> dict[str, View]:
    """The finished trials that ship with the lab, by claim; those that cannot be read are left out."""
    try:
        content = json.loads((ASSETS / "samples" / "claims.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    found = {}
    for name, one in content.items():
        try:
            claim = Claim.from_dict(one["claim"])
            table = table_of(one["table"])
            found[name] = View(SAMPLE, claim, SAMPLE, table, claim.judge(table))
        except (LabError, KeyError, TypeError, ValueError):  # of another version
            continue
    return found
