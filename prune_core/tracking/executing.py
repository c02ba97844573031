"""Executing a queued run: claim it, go on where it stood, train it to its end, and say how it ended."""

from __future__ import annotations

import logging
from typing import Any

import torch

from prune_core.errors import CheckpointError, LabError, StoreError
from prune_core.events import InterventionEvent, Status
from prune_core.measuring import count_parameters, latency, macs, stored_bytes
from prune_core.sweeping import trunk_of
from prune_core.tracking import files
from prune_core.tracking.home import checkpoint_path
from prune_core.tracking.recorder import Recorder, rows_of
from prune_core.tracking.records import SWEEP, RunRecord
from prune_core.tracking.store import Store, new_token
from prune_core.training import Control, load_checkpoint
from prune_core.training.branching import branch_
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
    control = Control()
    recorder = Recorder(store, run_id, token, control)
    status: Status = "failed"
    summary: dict[str, Any] = {}
    try:
        recorder.start()
        record = store.run(run_id)
        state = _state_of(store, record, token)
        recorder.follow(state, unwatched=(record.parent or "").startswith(SWEEP))
        for event in events(state, control, checkpoint_path(run_id)):
            recorder.note(event)
        assert state.done is not None, "a run ends with a DoneEvent"
        status, reason, summary = state.done.status, state.done.reason, _summary(state)
    except KeyboardInterrupt:
        status, reason = "stopped", "stopped from the keyboard"
        raise
    except LabError as error:
        reason = str(error)
    except BaseException as error:  # people's own models and methods may raise anything, SystemExit included
        log.exception("Run %s failed", run_id)
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    finally:
        written = recorder.finish(status, reason, summary)
    return status if written else recorder.lost or status


def _state_of(store: Store, record: RunRecord, token: str) -> RunState:
    """The run's state, at its last checkpoint where there is one; the store forgets what came after that."""
    run_id = record.id
    marks = [
        InterventionEvent(int(m.step), m.field, float(m.value), m.sender) for m in store.marks(run_id).itertuples()
    ]
    state = RunState(record.experiment, marks)
    path = files.checkpoint(run_id, resume=True)
    if path.is_file():
        state.load(load_checkpoint(path))
    elif shared := store.trunk_of(run_id):
        _branch_(state, shared)
    if state.step or record.attempt > 1:
        store.truncate(run_id, token, state.seen)
        # a checkpoint may be younger than the last flush before a process died: what it knows fills the gap
        known = set(store.evals(run_id)["step"])
        store.append(
            run_id,
            token,
            steps=rows_of(state, 0, state.seen),
            evals=[e for e in state.evals if e.step not in known],
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


def _summary(state: RunState) -> dict[str, Any]:
    """What tables and MLflow show of a run that has ended."""
    assert state.done is not None, "only of runs that have ended"
    last = state.evals[-1]
    count = count_parameters(state.model, state.masks.masks)
    return {
        "accuracy": last.accuracy,
        "loss": last.loss,
        "sparsity": state.masks.sparsity,
        "n": last.n,
        "step": state.done.step,
        "seconds": state.seconds,
        "steps_per_second": state.done.step / state.seconds if state.seconds else 0.0,
        "parameters": count.total,
        "nonzero": count.nonzero,
        **_cost(state),
        "device": str(state.device),
        "threads": torch.get_num_threads(),
    }


def _cost(state: RunState) -> dict[str, Any]:
    """Bytes, multiplications of one example and milliseconds of a forward pass; what cannot be had is left out."""
    model, masks, shape = state.model, state.masks.masks, state.data.info.shape
    found: dict[str, Any] = {}
    try:
        found["dense_bytes"], found["kept_bytes"] = stored_bytes(model, masks)
        work = macs(model, shape, masks)
        found["macs"], found["kept_macs"] = work.dense, work.effective
        time = latency(model, shape, threads=torch.get_num_threads(), repeats=LATENCY_REPEATS, budget_s=LATENCY_S)
        found |= {"latency_ms": time.median_ms, "latency_low_ms": time.low_ms, "latency_high_ms": time.high_ms}
    except Exception:  # people's own models may do what is not foreseen here; the run itself is fine
        log.exception("Run of %s: its cost could not be measured", state.experiment.model.registered_as)
    return found
