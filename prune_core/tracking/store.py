"""The live store: runs, what they left, and what they are told.

Who executes a run holds its token, and every write of theirs checks it in the same transaction: a run that was given to
somebody else, cancelled or found dead cannot be written to by the one before.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, get_args

import numpy as np
from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from prune_core.errors import ConfigError, StoreError, UnknownNameError
from prune_core.events import ENDED, EvalEvent, InterventionEvent, InterventionField, MaskEvent, Status
from prune_core.experiment import Experiment
from prune_core.tracking import files, sample, schema, writing
from prune_core.tracking.alive import Process
from prune_core.tracking.database import Database
from prune_core.tracking.home import checkpoint_path, store_url
from prune_core.tracking.keeping import ACTIVE, Keeper, changeable
from prune_core.tracking.reading import is_sample
from prune_core.tracking.records import RunRecord, number

AGAIN = ("failed", "stopped", "cancelled")  # what may be queued once more
COMMANDS = ("pause", "resume", "step", "stop", "pace", *(f"set:{field}" for field in get_args(InterventionField)))
WAIT_POLL_S = 0.05

runs = schema.runs


class Store(Keeper):
    """The live store at ``url``, by default ``store_url()``: SQLite, or PostgreSQL where several machines write.

    May be used from many threads and processes at once. Raises StoreUnavailableError, a sentence, where it cannot be
    opened, and from any method where the database is full, read-only or away. Sample runs can be read like others.
    """

    def __init__(self, url: str | None = None) -> None:
        self.url = url or store_url()
        super().__init__(Database(self.url))
        self._samples = sample.Samples()

    def __repr__(self) -> str:
        return f"Store({self._database.name})"

    def close(self) -> None:
        """Give the connections back."""
        self._database.close()

    def _reading(self, run_id: str) -> AbstractContextManager[Connection]:
        return self._samples.reading(run_id) if is_sample(run_id) else self._database.reading()

    # --- for whoever wants a run --------------------------------------------------------------------------------------
    def create(
        self,
        experiment: Experiment,
        *,
        name: str = "",
        owner: str = "",
        priority: int = 0,
        parent: str | None = None,
        checkpoint: Path | str | None = None,
    ) -> str:
        """Queue a run and return its id: 12 hex digits, in the order of time.

        ``parent`` is the run that this one was made from. With ``checkpoint``, of the same experiment, the run goes on
        from a copy of it. Raises ConfigError for an experiment with a part that is not registered, CheckpointError for
        a checkpoint of another one.
        """
        values = writing.queued(experiment, name=name, owner=owner, priority=priority, parent=parent)
        while True:
            run_id = writing.new_id()
            if checkpoint is not None:
                writing.copy_checkpoint(checkpoint, experiment.digest, checkpoint_path(run_id))
                files.upload(run_id)
            try:
                with self._database.writing() as connection:
                    connection.execute(insert(runs).values(id=run_id, created=time.time(), **values))
                return run_id
            except IntegrityError:  # another process took this id in the same millisecond
                continue

    def send(self, run_id: str, command: str, value: float | None = None, sender: str = "") -> int:
        """Tell a run to pause, resume, step (``value`` times), stop (after step ``value``) or set:FIELD (to ``value``).

        ``pace`` slows it down to ``value`` steps/s, 0 or None is full speed. Raises StoreError where the run has ended.
        """
        check_command(command, value)
        changeable(run_id)
        with self._database.writing() as connection:
            # held, so that the ids of what it is told come in the order in which listeners can see them
            status = self._run(connection, run_id, hold=True).status
            if status in ENDED:
                raise StoreError(f"Run {run_id} cannot be told to {command}: it has ended ({status}).")
            return writing.tell(connection, run_id, command, value, sender)

    def cancel(self, run_id: str, owner: str) -> None:
        """Take a run out of the queue, or end it where it runs, at once. Raises StoreError unless ``owner`` owns it."""
        changeable(run_id)
        record = self.run(run_id)
        if record.owner != owner:
            raise StoreError(f"Run {run_id} belongs to {record.owner or 'nobody'}: only its owner can cancel it.")
        with self._database.writing() as connection:
            self._end(connection, run_id, ("queued", *ACTIVE), "cancelled", "cancelled on request")

    def requeue(self, run_id: str) -> None:
        """Queue a failed, stopped or cancelled run again. It goes on from its last checkpoint: later steps are gone.

        Interventions stay, and happen again at their steps.
        """
        changeable(run_id)
        with self._database.writing() as connection:
            record = self._run(connection, run_id, hold=True)
            if record.status not in AGAIN:
                raise StoreError(f"Run {run_id} is {record.status}: only {', '.join(AGAIN)} runs can be queued again.")
            writing.requeue(connection, record)

    def wait(self, run_id: str, statuses: Iterable[str] = ENDED, timeout: float | None = None) -> Status:
        """Block until the run has one of ``statuses`` and return it. Raises StoreError after ``timeout`` seconds."""
        wanted, began = tuple(statuses), time.monotonic()
        while (status := self.run(run_id).status) not in wanted:
            if timeout is not None and time.monotonic() - began > timeout:
                raise StoreError(f"Run {run_id} is still {status} after {timeout:g} s, not {' or '.join(wanted)}.")
            time.sleep(WAIT_POLL_S)
        return status

    # --- for whoever executes it --------------------------------------------------------------------------------------
    def claim(self, run_id: str, token: str, worker: str = "") -> bool:
        """Take a queued run; False where somebody else was faster, or it does not wait any more."""
        now, me = time.time(), Process.current()
        with self._database.writing() as connection:
            taken = connection.execute(
                update(runs)
                .where(runs.c.id == run_id, runs.c.status == "queued", runs.c.deleted.is_(None))
                .values(status="running", token=token, worker=writing.clean(worker, 120), heartbeat=now, started=now)
                .values(machine=me.machine, pid=me.pid, pid_started=me.started)
            )
            return taken.rowcount == 1

    def heartbeat(self, run_id: str, token: str) -> None:
        """Say that the run is alive. Raises OwnershipLostError like all that needs the token."""
        with self._database.writing() as connection:
            writing.own(connection, run_id, token)

    def set_status(self, run_id: str, token: str, status: Status, reason: str = "") -> None:
        """Say that the run holds ("paused") or goes on ("running")."""
        self.append(run_id, token, status=status, reason=reason)

    def append(
        self,
        run_id: str,
        token: str,
        *,
        steps: Sequence[Sequence[float]] | np.ndarray = (),
        evals: Sequence[EvalEvent] = (),
        snapshots: Sequence[tuple[int, bytes]] = (),
        masks: Sequence[MaskEvent] = (),
        marks: Sequence[InterventionEvent] = (),
        status: Status | None = None,
        reason: str | None = None,
        checkpoint: int | None = None,
        warning: str = "",
        live: Mapping[str, Any] = {},
    ) -> None:
        """Record what happened, all or nothing. ``steps`` are rows of step and STEP_FIELDS, ascending.

        ``warning`` and what is ``live`` are the run's summary until it ends. What is there already stays as it is, so
        that a write whose answer was lost can be made again.
        """
        if status is not None and status not in ACTIVE:
            raise ConfigError(f"status must be 'running' or 'paused' here, got {status!r}; finish() ends a run.")
        rows = np.asarray(steps, dtype=float).reshape(-1, schema.WIDTH)
        values: dict[str, Any] = {"status": status, "reason": reason, "checkpoint": checkpoint}
        if len(rows):
            values |= {"step": int(rows[-1, 0]), "sparsity": number(rows[-1, -1])}
        if evals:
            values |= {"accuracy": number(evals[-1].accuracy), "loss": number(evals[-1].loss)}
        if warning or live:
            values["summary"] = json.dumps({**live, **({"warning": warning} if warning else {})})
        with self._database.writing() as connection:
            writing.own(connection, run_id, token, **{k: v for k, v in values.items() if v is not None})
            writing.add_steps(connection, run_id, rows)
            writing.add_evals(connection, run_id, evals)
            writing.add_marks(connection, run_id, marks)
            writing.add_pictures(connection, schema.snapshots, run_id, snapshots, writing.MOST_SNAPSHOTS)
            writing.add_pictures(connection, schema.masks, run_id, writing.packed(masks), writing.MOST_MASKS)

    def truncate(self, run_id: str, token: str, after_step: int) -> None:
        """Take back what was recorded after ``after_step``. Readers see another attempt where something was."""
        with self._database.writing() as connection:
            writing.own(connection, run_id, token)
            if writing.truncate(connection, run_id, after_step):
                connection.execute(update(runs).where(runs.c.id == run_id).values(attempt=runs.c.attempt + 1))

    def finish(self, run_id: str, token: str, status: Status, reason: str, summary: dict[str, Any]) -> bool:
        """End a run and give its token back; returns whether it now waits to be published.

        ``summary`` may hold accuracy, loss and sparsity for the tables.
        """
        if status not in ENDED:
            raise ConfigError(f"status must be one of {', '.join(ENDED)}, got {status!r}.")
        found = {k: number(summary[k]) for k in ("accuracy", "loss", "sparsity") if k in summary}
        with self._database.writing() as connection:
            writing.own(connection, run_id, token, summary=json.dumps(summary), **found)
            self._end(connection, run_id, ACTIVE, status, reason)
            return connection.execute(select(runs.c.publishing).where(runs.c.id == run_id)).scalar() == "waiting"

    # --- sample runs --------------------------------------------------------------------------------------------------
    def samples(self) -> list[RunRecord]:
        """The sample runs that ship with the lab, and those imported into this Store; nothing is written for them."""
        return [self.run(run_id) for run_id in self._samples.ids()]

    def race_samples(self) -> list[RunRecord]:
        """The lanes of the finished race that ships with the lab."""
        return [self.run(run_id) for run_id in self._samples.race_ids()]

    def import_sample(self, path: Path | str) -> str:
        """Show the sample run in a file in this Store and return its id. Raises StoreError where it is not one."""
        return self._samples.add(Path(path))


def check_command(command: str, value: float | None) -> None:
    """Raise UnknownNameError or ConfigError for what nobody can be told."""
    if command not in COMMANDS:
        raise UnknownNameError("command", command, COMMANDS)
    if command.startswith("set:") and value is None:
        raise ConfigError(f"{command} needs a value, got None.")


def new_token() -> str:
    """The right to write to a run, for one attempt."""
    return secrets.token_hex(8)


__all__ = ["ACTIVE", "AGAIN", "COMMANDS", "Store", "check_command", "new_token"]
