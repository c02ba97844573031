"""Writing a run down and listening to what it is told, without ever holding up a step.

The training thread only notes what happened. A thread of the recorder's own writes it to the store a few times a
second, in one transaction with the heartbeat, and hands new controls to the loop.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from prune_core.errors import OwnershipLostError, StoreError, StoreUnavailableError
from prune_core.events import (
    ENDED,
    CheckpointEvent,
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
from prune_core.tracking import files
from prune_core.tracking.listening import Listener
from prune_core.tracking.publishing import start_publisher
from prune_core.tracking.store import Store
from prune_core.training import Control
from prune_core.training.state import RunState

FLUSH_S = 0.2
UNWATCHED_S = 0.5  # of a sweep's many runs hardly one is looked at while it runs, and each write costs milliseconds
HEARTBEAT_S = 1.0  # how often a run that has nothing new says that it is alive
PATIENCE_S = 15.0  # how long the end of a run is tried to be written to a store that does not answer
NOT_RECORDED = "not recorded"

log = logging.getLogger("prune_core.tracking")


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
        self._listener = Listener(store, run_id, control)
        self._wrote_at = time.monotonic()
        self._warnings: list[str] = []
        self._live: dict[str, Any] = {}  # what the summary says while the run goes
        self._said: tuple[str, dict[str, Any]] = ("", {})
        self._pace_s = FLUSH_S
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._failing_since: int | None = None
        self._uploads = files.Uploads(run_id, self._arrived, self._hear) if files.shared() else None
        self.lost = ""

    def start(self) -> None:
        """Begin to say that the run is alive and to listen: loading data may take longer than the first step.

        What it was told while it waited in the queue is heard before the first step.
        """
        with contextlib.suppress(StoreUnavailableError):
            self._listener.listen()
        self._thread = threading.Thread(target=self._work, name=f"recorder {self._run_id}", daemon=True)
        self._thread.start()

    def follow(self, state: RunState, *, unwatched: bool = False) -> None:
        """Begin to write down what ``note`` is told of ``state``; what it has seen so far is in the store."""
        self._pace_s = UNWATCHED_S if unwatched else FLUSH_S
        self._seen = self._written = state.seen
        self._state = state

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
                    if self._uploads is None:
                        batch.checkpoint = step
                    else:  # the store learns of it when others can go on from it
                        self._uploads.note(step)
                case WarningEvent(message=message):
                    self._warn(message)

    def say(self, **live: Any) -> None:
        """Have the run's summary say ``live`` from now on, until the run ends."""
        with self._lock:
            self._live = {**self._live, **live}

    def finish(self, status: Status, reason: str, summary: dict[str, Any]) -> bool:
        """Write what is left and how the run ended; returns whether that succeeded."""
        if self._uploads is not None and not self.lost:
            self._uploads.finish()  # the run's heart beats meanwhile
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        deadline = time.monotonic() + PATIENCE_S
        while not self.lost:
            try:
                self._flush()
                with self._lock:
                    warning = " ".join(self._warnings)
                if self._store.finish(
                    self._run_id, self._token, status, reason, summary | ({"warning": warning} if warning else {})
                ):
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
        while not self._ended.wait(self._pace_s):
            try:
                self._flush()
                self._listener.listen()
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
        with self._lock:
            seen, batch, self._batch = self._seen, self._batch, Batch()
            said = " ".join(self._warnings), self._live
        if state is None or (seen == self._written and not batch and said == self._said):
            if time.monotonic() - self._wrote_at >= HEARTBEAT_S:
                self._store.heartbeat(self._run_id, self._token)
                self._wrote_at = time.monotonic()
            return
        try:
            self._store.append(
                self._run_id,
                self._token,
                steps=rows_of(state, self._written, seen),
                evals=batch.evals,
                snapshots=[(s.step, s.to_bytes()) for s in batch.snapshots],
                masks=batch.masks,
                marks=batch.marks,
                status=batch.status,
                checkpoint=batch.checkpoint,
                warning=said[0],
                live=said[1],
            )
        except BaseException:
            self._put_back(batch)
            raise
        self._written, self._said, self._wrote_at = seen, said, time.monotonic()
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

    def _arrived(self, step: int) -> None:
        with self._lock:
            self._batch.checkpoint = step

    def _hear(self, warning: str) -> None:
        log.warning("Run %s: %s", self._run_id, warning)
        with self._lock:
            self._warn(warning)

    # --- when it cannot be recorded -----------------------------------------------------------------------------------
    def _lose(self) -> None:
        """The run is somebody else's now, or was ended: whatever this process did with it goes nowhere."""
        self.lost = "lost"
        self._control.stop("it was ended by somebody else")
        with contextlib.suppress(StoreError):  # deleted for good by now, or the store is away
            status = self._store.run(self._run_id).status
            self.lost = status if status in ENDED else "lost"

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


def rows_of(state: RunState, after: int, upto: int) -> np.ndarray:
    """Rows (n, 8) of step and STEP_FIELDS after step ``after`` up to ``upto``."""
    values = state.rows[after:upto].cpu().double().numpy()
    return np.column_stack([np.arange(after + 1, upto + 1, dtype=float), values])
