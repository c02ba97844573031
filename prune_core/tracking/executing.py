"""Executing queued runs: claim them, go on where they stood, train them to their end, and say how they ended.

A run alone and a lane of a race are the same Execution; a race has several, advanced in lockstep.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from prune_core.errors import CheckpointError, LabError, StoreError
from prune_core.events import Event, InterventionEvent, Status
from prune_core.measuring import latency
from prune_core.sweeping import trunk_of
from prune_core.tracking import files
from prune_core.tracking.costs import Costs, cost_of
from prune_core.tracking.home import checkpoint_path
from prune_core.tracking.listening import Listener, Listening
from prune_core.tracking.recorder import Recorder, rows_of
from prune_core.tracking.records import SWEEP, RunRecord, race_of
from prune_core.tracking.store import Store, new_token
from prune_core.training import Control, load_checkpoint
from prune_core.training.branching import branch_
from prune_core.training.lockstep import Lane, LaneControl, fields_of, lockstep
from prune_core.training.state import RunState
from prune_core.training.stream import events

LATENCY_REPEATS, LATENCY_S = 15, 0.25  # enough for an interval; a short run must not wait long for it

log = logging.getLogger("prune_core.tracking")


def execute(store: Store, run_id: str, worker: str = "") -> str:
    """Train a queued run to its end and record it; returns the status it ended with.

    ``refused`` where somebody else has claimed it or it does not wait any more, ``lost`` where it was taken away in
    mid-run. Whatever fails is written into the run as its reason; only KeyboardInterrupt is raised. With a store that
    cannot be written to in mid-run training goes on; what could not be recorded is said in the run's summary.
    """
    token = new_token()
    if not store.claim(run_id, token, worker):
        return "refused"
    run = Execution(store, run_id, token, Control())
    for _ in run.events():
        pass
    return run.outcome


def execute_race(store: Store, race_id: str, run_ids: Sequence[str], worker: str = "") -> dict[str, str]:
    """Train the queued lanes of a race in lockstep and record each like a run of its own; what became of each.

    They hold, step and slow down together as the race is told; else as ``execute``.
    """
    control = Control()
    outcomes = dict.fromkeys(run_ids, "refused")
    claimed: list[tuple[Execution, Lane]] = []
    for run_id in run_ids:
        token = new_token()
        if store.claim(run_id, token, worker):
            own = LaneControl(control)
            one = Execution(store, run_id, token, own, lanes=len(run_ids))
            claimed.append((one, Lane(run_id, one.events(), own)))
    for one, lane in claimed:
        with contextlib.suppress(LabError):  # one that cannot be read here says so itself when it begins
            lane.takes = fields_of(store.run(one.run_id).experiment)
    trouble = lambda error: log.warning("Race %s could not listen: %s", race_id, error)  # noqa: E731
    try:
        with Listening(Listener(store, race_id, control), trouble):
            for _ in lockstep([lane for _, lane in claimed], control):
                pass
    finally:
        for one, _ in claimed:
            one.abandon()
    return outcomes | {one.run_id: one.outcome for one, _ in claimed}


class Execution:
    """A claimed run in this process, one of ``lanes`` that share it; ``outcome`` is known when its events are over."""

    def __init__(self, store: Store, run_id: str, token: str, control: Control, lanes: int = 1) -> None:
        self.run_id, self.outcome = run_id, ""
        self._store, self._token, self._control, self._lanes = store, token, control, lanes
        self._recorder = Recorder(store, run_id, token, control)
        self._recorder.start()

    def events(self) -> Iterator[Event]:
        """Train it, record it, and yield what happens; nothing that fails in it is raised but KeyboardInterrupt."""
        store, recorder, run_id = self._store, self._recorder, self.run_id
        status: Status = "failed"
        summary: dict[str, Any] = {}
        try:
            record = store.run(run_id)
            state = _state_of(store, record, self._token)
            recorder.follow(state, unwatched=(record.parent or "").startswith(SWEEP))
            costs = Costs(state) if race_of(record.parent) else None
            for event in events(state, self._control, checkpoint_path(run_id)):
                recorder.note(event)
                if costs is not None and (found := costs.after(event)):
                    recorder.say(**found)
                yield event
            assert state.done is not None, "a run ends with a DoneEvent"
            status, reason, summary = state.done.status, state.done.reason, _summary(state, LATENCY_S / self._lanes)
        except KeyboardInterrupt:
            status, reason = "stopped", "stopped from the keyboard"
            raise
        except GeneratorExit:
            status, reason = "stopped", "its race was ended"
            raise
        except LabError as error:
            reason = str(error)
        except BaseException as error:  # people's own models and methods may raise anything, SystemExit included
            log.exception("Run %s failed", run_id)
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        finally:
            self._finish(status, reason, summary)

    def abandon(self) -> None:
        """End it where it never began; nothing where its events are over."""
        if not self.outcome:
            self._finish("stopped", "its race was ended", {})

    def _finish(self, status: Status, reason: str, summary: dict[str, Any]) -> None:
        written = self._recorder.finish(status, reason, summary)
        self.outcome = status if written else self._recorder.lost or status


def _state_of(store: Store, record: RunRecord, token: str) -> RunState:
    """The run's state, at its last checkpoint where there is one; the store forgets what came after that."""
    run_id = record.id
    path = files.checkpoint(run_id, resume=True)
    before = path.is_file() or record.attempt > 1  # else nothing can have been changed in mid-run yet
    known = store.marks(run_id).itertuples() if before else ()
    state = RunState(
        record.experiment, [InterventionEvent(int(m.step), m.field, float(m.value), m.sender) for m in known]
    )
    if path.is_file():
        state.load(load_checkpoint(path))
    elif shared := store.trunk_of(run_id):
        _branch_(state, shared)
    if state.step or record.attempt > 1:
        store.truncate(run_id, token, state.seen)
        # a checkpoint may be younger than the last flush before a process died: what it knows fills the gap
        there = set(store.evals(run_id)["step"])
        store.append(
            run_id,
            token,
            steps=rows_of(state, 0, state.seen),
            evals=[e for e in state.evals if e.step not in there],
            marks=state.marks,
            checkpoint=state.step,
        )
    return state


def _branch_(state: RunState, shared: str) -> None:
    """Begin with the training of the run ``shared``; where its state is not there any more, from the start."""
    trunk = trunk_of(state.experiment)
    try:
        if trunk is not None:
            branch_(state, load_checkpoint(files.checkpoint(shared)), trunk)
    except (CheckpointError, StoreError) as error:
        log.warning("A run does again what run %s has done: %s", shared, error)


def _summary(state: RunState, latency_s: float) -> dict[str, Any]:
    """What tables and MLflow show of a run that has ended."""
    assert state.done is not None, "only of runs that have ended"
    last = state.evals[-1]
    return {
        "accuracy": last.accuracy,
        "loss": last.loss,
        "sparsity": state.masks.sparsity,
        "n": last.n,
        "step": state.done.step,
        "seconds": state.seconds,
        "steps_per_second": state.done.step / state.seconds if state.seconds else 0.0,
        **cost_of(state),
        **_latency(state, latency_s),
        "device": str(state.device),
        "threads": torch.get_num_threads(),
    }


def _latency(state: RunState, budget_s: float) -> dict[str, Any]:
    """Milliseconds of a forward pass of one example; nothing where they cannot be had."""
    try:
        time = latency(
            state.model, state.data.info.shape, threads=torch.get_num_threads(), repeats=LATENCY_REPEATS,
            budget_s=budget_s,
        )  # fmt: skip
    except Exception:  # people's own models may do what is not foreseen here; the run itself is fine
        log.exception("Run of %s: its latency could not be measured", state.experiment.model.registered_as)
        return {}
    return {"latency_ms": time.median_ms, "latency_low_ms": time.low_ms, "latency_high_ms": time.high_ms}
