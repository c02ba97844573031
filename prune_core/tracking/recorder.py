"""Executing a queued run: train it, record it, and listen to what it is told, without ever holding up a step.

The training thread only notes what happened. A thread of the recorder's own writes it to the store a few times a
second, in one transaction with the heartbeat, and hands new controls to the loop.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from prune_core.errors import LabError, OwnershipLostError, StoreUnavailableError
from prune_core.events import (
    ENDED,
    CheckpointEvent,
    DoneEvent,
    EvalEvent,
    Event,
    InterventionEvent,
    MaskEvent,
    SnapshotEvent,
    StateEvent,
    Status,
    StepEvent,
    WarningEvent,
)
from prune_core.measuring import count_parameters
from prune_core.tracking.home import checkpoint_path
from prune_core.tracking.publish import start_publisher
from prune_core.tracking.records import ControlRecord
from prune_core.tracking.store import Store, new_token
from prune_core.training import Control, load_checkpoint
from prune_core.training.state import RunState
from prune_core.training.stream import events

FLUSH_S = 0.2
HEARTBEAT_S = 1.0  # how often a run that has nothing new says that it is alive
PATIENCE_S = 15.0  # how long the end of a run is tried to be written to a store that does not answer
NOT_RECORDED = "not recorded"

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
        state = _state_of(store, run_id, token)
        recorder.start(state)
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


def _state_of(store: Store, run_id: str, token: str) -> RunState:
    """The run's state, at its last checkpoint where there is one; the store forgets what came after that."""
    record = store.run(run_id)
    marks = [
        InterventionEvent(int(m.step), m.field, float(m.value), m.sender) for m in store.marks(run_id).itertuples()
    ]
    state = RunState(record.experiment, marks)
    path = checkpoint_path(run_id)
    if path.is_file():
        state.load(load_checkpoint(path))
    if state.step or record.attempt > 1:
        store.truncate(run_id, token, state.seen)
        # a checkpoint may be younger than the last flush before a process died: what it knows fills the gap
        known = set(store.evals(run_id)["step"])
        store.append(
            run_id,
            token,
            steps=_rows(state, 0, state.seen),
            evals=[e for e in state.evals if e.step not in known],
            marks=state.marks,
            checkpoint=state.step,
        )
    return state


@dataclass
class Batch:
    """What happened since the last flush."""

    evals: list[EvalEvent] = field(default_factory=list)
    snapshots: list[SnapshotEvent] = field(default_factory=list)
    masks: list[MaskEvent] = field(default_factory=list)
    marks: list[InterventionEvent] = field(default_factory=list)
    status: Status | None = None
    checkpoint: int | None = None

    def __bool__(self) -> bool:
        return bool(self.evals or self.snapshots or self.masks or self.marks or self.status or self.checkpoint)


class Recorder:
    """Writes one run down while another thread trains it. Nothing it does raises into training."""

    def __init__(self, store: Store, run_id: str, token: str, control: Control) -> None:
        self._store, self._run_id, self._token, self._control = store, run_id, token, control
        self._lock = threading.Lock()
        self._batch = Batch()
        self._state: RunState | None = None
        self._seen = self._written = 0  # steps
        self._heard = 0  # controls
        self._wrote_at = time.monotonic()
        self._warnings: list[str] = []
        self._said = ""
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._failing_since: int | None = None
        self.lost = ""

    def start(self, state: RunState) -> None:
        """Begin to write down what ``note`` is told of ``state``."""
        self._state = state
        self._seen = self._written = state.seen
        self._thread = threading.Thread(target=self._work, name=f"recorder {self._run_id}", daemon=True)
        self._thread.start()

    def note(self, event: Event) -> None:
        """Remember ``event``; called by the training thread, so it does next to nothing."""
        if isinstance(event, StepEvent):
            self._seen = event.step  # its row stays where it is in the state
            return
        with self._lock:
            batch = self._batch
            match event:
                case EvalEvent():
                    batch.evals.append(event)
                case SnapshotEvent():
                    batch.snapshots.append(event)
                case MaskEvent():
                    batch.masks.append(event)
                case InterventionEvent():
                    batch.marks.append(event)
                case StateEvent(state=status):
                    batch.status = status
                case CheckpointEvent(step=step):
                    batch.checkpoint = step
                case WarningEvent(message=message):
                    self._warn(message)
                case DoneEvent():
                    self._ended.set()

    def finish(self, status: Status, reason: str, summary: dict[str, Any]) -> bool:
        """Write what is left and how the run ended; returns whether that succeeded."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        deadline = time.monotonic() + PATIENCE_S
        while not self.lost:
            try:
                self._flush()
                with self._lock:
                    warning = " ".join(self._warnings)
                self._store.finish(
                    self._run_id, self._token, status, reason, summary | ({"warning": warning} if warning else {})
                )
                self._store.set_publishing(self._run_id, "waiting")
                start_publisher(self._store)
                return True
            except OwnershipLostError:
                self._lose()
            except StoreUnavailableError as error:
                if time.monotonic() > deadline:
                    log.error("Run %s ended (%s: %s) and is %s: %s", self._run_id, status, reason, NOT_RECORDED, error)
                    self.lost = NOT_RECORDED
                time.sleep(FLUSH_S)
        return False

    # --- the recorder's own thread ------------------------------------------------------------------------------------
    def _work(self) -> None:
        while not self._ended.wait(FLUSH_S):
            try:
                self._flush()
                self._listen()
            except OwnershipLostError:
                self._lose()
                return
            except StoreUnavailableError as error:
                self._cannot(error)
            except Exception:  # a fault of ours must not leave the run without a heartbeat
                log.exception("Recording run %s goes on after this:", self._run_id)

    def _flush(self) -> None:
        """Write what is new; what could not be written stays and is tried again."""
        state = self._state
        if state is None:
            return
        with self._lock:
            seen, batch, self._batch = self._seen, self._batch, Batch()
            warning = " ".join(self._warnings)
        if seen == self._written and not batch and warning == self._said:
            if time.monotonic() - self._wrote_at >= HEARTBEAT_S:
                self._store.heartbeat(self._run_id, self._token)
                self._wrote_at = time.monotonic()
            return
        try:
            self._store.append(
                self._run_id,
                self._token,
                steps=_rows(state, self._written, seen),
                evals=batch.evals,
                snapshots=[(s.step, s.to_bytes()) for s in batch.snapshots],
                masks=batch.masks,
                marks=batch.marks,
                status=batch.status,
                checkpoint=batch.checkpoint,
                warning=warning,
            )
        except BaseException:
            self._put_back(batch)
            raise
        self._written, self._said, self._wrote_at = seen, warning, time.monotonic()
        if self._failing_since is not None:
            log.warning("Run %s is recorded again; nothing is missing.", self._run_id)
            self._failing_since = None

    def _put_back(self, batch: Batch) -> None:
        with self._lock:
            later, self._batch = self._batch, batch
            batch.evals += later.evals
            batch.snapshots = (batch.snapshots + later.snapshots)[-60:]
            batch.masks += later.masks
            batch.marks += later.marks
            batch.status = later.status or batch.status
            batch.checkpoint = later.checkpoint or batch.checkpoint

    def _listen(self) -> None:
        for told in self._store.controls(self._run_id, self._heard):
            self._heard = told.id
            self._obey(told)

    def _obey(self, told: ControlRecord) -> None:
        control = self._control
        if told.command == "pause":
            control.pause()
        elif told.command == "resume":
            control.resume()
        elif told.command == "step":
            control.step(max(1, int(told.value or 1)))
        elif told.command == "stop":
            control.stop()
        elif told.value is not None:
            control.set(**{told.command.removeprefix("set:"): told.value}, sender=told.sender)

    # --- when it cannot be recorded -----------------------------------------------------------------------------------
    def _lose(self) -> None:
        """The run is somebody else's now, or was ended: whatever this process did with it goes nowhere."""
        status = self._store.run(self._run_id).status
        self.lost = status if status in ENDED else "lost"
        self._control.stop("it was ended by somebody else")

    def _cannot(self, error: StoreUnavailableError) -> None:
        if self._failing_since is None:
            self._failing_since = self._written + 1
            message = f"From step {self._failing_since} on the run was for a while {NOT_RECORDED}: {error}"
            log.warning("Run %s: %s", self._run_id, message)
            with self._lock:
                self._warn(message)

    def _warn(self, message: str) -> None:
        if message not in self._warnings[-20:]:
            self._warnings.append(message)


def _rows(state: RunState, after: int, upto: int) -> np.ndarray:
    """Rows (n, 8) of step and STEP_FIELDS after step ``after`` up to ``upto``."""
    values = state.rows[after:upto].cpu().double().numpy()
    return np.column_stack([np.arange(after + 1, upto + 1, dtype=float), values])


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
        "device": str(state.device),
        "threads": torch.get_num_threads(),
    }
