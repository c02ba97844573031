"""One run as people hold it. Everything is read from and written to the store, from whatever process."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from torch import Tensor, nn

from prune_core.errors import ConfigError, EngineError
from prune_core.events import ENDED, SnapshotEvent, Status
from prune_core.jobs.app_file import app_address
from prune_core.jobs.gradients import GradientRequest, gradient_for
from prune_core.tracking import RunRecord, Store, files
from prune_core.tracking import home as default_home
from prune_core.training import check_intervention, restore_model
from prune_core.training.gradient import Gradient

POLL_S = 0.1


class RunHandle:
    """A run in the lab. Steering calls return at once; the run follows within a step."""

    def __init__(self, run_id: str, store: Store, wake: Callable[[], None], home: Path | None = None) -> None:
        self.id = run_id
        self._store, self._wake, self._home = store, wake, home

    def __repr__(self) -> str:
        record = self.record
        return f"RunHandle({self.id}: {record.status} at step {record.step} of {record.steps})"

    @property
    def record(self) -> RunRecord:
        """Everything the store knows of the run, as of now."""
        return self._store.run(self.id)

    @property
    def url(self) -> str:
        """The run's page in the app. Raises EngineError where no app serves this lab."""
        return f"{app_address(self._home or default_home())}/runs?runs={self.id}"

    @property
    def status(self) -> Status:
        """queued, running, paused, finished, stopped, diverged, failed or cancelled."""
        return self.record.status

    def history(self) -> pd.DataFrame:
        """A row a step recorded so far."""
        return self._store.history(self.id)

    def evals(self) -> pd.DataFrame:
        """A row an evaluation so far."""
        return self._store.evals(self.id)

    def snapshot_steps(self) -> list[int]:
        """Steps whose snapshot can be had, ascending; those that a sweep's member shares with others among them."""
        return self._store.snapshot_steps(self.id)

    def snapshot(self, step: int | None = None) -> SnapshotEvent | None:
        """Histograms of weights and gradients as of ``step``, by default the newest; None where there is none."""
        return self._store.snapshot(self.id, step)

    def marks(self) -> pd.DataFrame:
        """A row a change in mid-run so far: step, field, value, sender."""
        return self._store.marks(self.id)

    def load(self) -> tuple[nn.Module, dict[str, Tensor]]:
        """The model of the last checkpoint, in eval mode, and its masks (``{name: bool, True = kept}``).

        Raises CheckpointError where there is none yet.
        """
        model, masks = restore_model(self.record.experiment, files.checkpoint(self.id))
        return model.eval(), masks

    def gradient(self, step: int | None = None, examples: int = 64, seed: int = 0) -> Gradient:
        """The gradient after ``step`` updates, or at the last checkpoint, on ``examples`` drawn by ``seed``.

        Found in this process: an earlier moment is reached by training again. Raises ConfigError where there is none.
        """
        return gradient_for(
            self._store.url, GradientRequest(run=self.id, step=step, examples=examples, seed=seed)
        )  # fmt: skip

    # --- steering -----------------------------------------------------------------------------------------------------
    def set(
        self,
        *,
        clip_threshold: float | None = None,
        lr: float | None = None,
        sparsity: float | None = None,
        sender: str = "",
    ) -> None:
        """New values in mid-run; recorded with the step from which they hold. Raises ConfigError out of bounds."""
        given = {"clip_threshold": clip_threshold, "lr": lr, "sparsity": sparsity}
        record = self._active("changed")
        # all are checked before one is sent: a call changes everything or nothing
        values = {f: check_intervention(record.experiment, f, v) for f, v in given.items() if v is not None}
        for field, value in values.items():
            self._store.send(self.id, f"set:{field}", value, sender)

    def pause(self, sender: str = "") -> None:
        """Hold before the next step."""
        self._send("pause", "paused", sender=sender)

    def resume(self, sender: str = "") -> None:
        """Go on."""
        self._send("resume", "resumed", sender=sender)

    def step(self, n: int = 1, sender: str = "") -> None:
        """Make ``n`` more steps, then hold."""
        if n < 1:
            raise ConfigError(f"step must be at least 1, got {n}.")
        self._send("step", "stepped", n, sender)

    def stop(self, sender: str = "") -> None:
        """End the run and keep its state. Where it does not follow within 5 s its process is ended."""
        if self.status == "queued":
            self.cancel()
            return
        self._send("stop", "stopped", sender=sender)

    def cancel(self, owner: str | None = None) -> None:
        """Take the run out of the queue, or end it if it runs. Raises StoreError unless ``owner`` owns it."""
        self._store.cancel(self.id, self.record.owner if owner is None else owner)

    def retry(self) -> None:
        """Queue a failed, stopped or cancelled run again; it goes on from its last checkpoint."""
        self._store.requeue(self.id)
        self._wake()

    # --- waiting ------------------------------------------------------------------------------------------------------
    def wait(self, timeout: float | None = None) -> Status:
        """Block until the run has ended and return its status. Raises EngineError after ``timeout`` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (status := self.status) not in ENDED:
            if deadline is not None and time.monotonic() > deadline:
                raise EngineError(f"Run {self.id} is still {status} after {timeout:g} s; it goes on.")
            time.sleep(POLL_S)
        return status

    def _active(self, what: str) -> RunRecord:
        record = self.record
        if record.status in ENDED:
            raise ConfigError(f"Run {self.id} cannot be {what}: it has ended ({record.status}).")
        return record

    def _send(self, command: str, what: str, value: float | None = None, sender: str = "") -> None:
        self._active(what)
        self._store.send(self.id, command, value, sender)
