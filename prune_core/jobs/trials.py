"""Claims on trial in the lab: their runs as a sweep, what was measured, the verdict; found again by id."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from distributed import Client

from prune_core.claims import COLUMNS, Claim, Verdict, named
from prune_core.errors import ConfigError, EngineError, LabError, StoreError
from prune_core.jobs.estimate import Estimate
from prune_core.jobs.sweeping import Sweeping, check_parts
from prune_core.jobs.sweeps import SweepHandle
from prune_core.jobs.trying import Measuring, measure, runs_of

State = Literal["running", "measuring", "done", "stopped", "failed"]
POLL_S = 0.2


@dataclass(frozen=True)
class TrialFile:
    """What is kept of a trial beside its runs, in the lab's home: the claim and its settings, and what was measured."""

    path: Path

    def write(self, claim: Claim, table: pd.DataFrame | None = None, problem: str = "") -> None:
        """Whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = None if table is None else json.loads(table.to_json(orient="split", index=False, double_precision=12))
        content = {"claim": claim.to_dict(), "table": kept, "problem": problem}
        partial = self.path.with_suffix(f".{threading.get_ident()}.partial")
        partial.write_text(json.dumps(content), encoding="utf-8")
        partial.replace(self.path)

    def read(self) -> tuple[Claim, pd.DataFrame | None, str]:
        """The claim, the table if it was measured, and why it could not be. Raises StoreError where there is none."""
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            table = content["table"]
            found = None if table is None else table_of(table)
            return Claim.from_dict(content["claim"]), found, str(content["problem"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, LabError):
                raise
            raise StoreError(f"There is no trial {self.path.stem} in this lab.") from None


def table_of(split: dict[str, Any]) -> pd.DataFrame:
    """A table of measured figures as JSON keeps it."""
    found = pd.DataFrame(split["data"], columns=split["columns"])
    return found.astype({"at": float, "value": float, "seed": int})[list(COLUMNS)]


class TrialHandle:
    """A claim on trial. All is read from the store and the lab's home, from whatever process; nothing here waits
    but ``wait``. ``id`` is also that of its sweep.
    """

    def __init__(self, sweep: SweepHandle, file: TrialFile, lab: Trying) -> None:
        self.id, self.sweep = sweep.id, sweep
        self._file, self._lab = file, lab
        self.claim, self._table, self._problem = file.read()

    def __repr__(self) -> str:
        return f"TrialHandle({self.id}: “{self.claim.statement}” {self.state})"

    @property
    def state(self) -> State:
        """Runs are "running"; then, where models or the clock are looked at, "measuring"; in the end "done".

        Asking is what starts the measurement once all runs are done. "stopped" can be resumed.
        """
        status = self.sweep.status
        if status != "finished":
            return "running" if status == "running" else "stopped" if status == "stopped" else "failed"
        if not self.claim.looks or self._measured() is not None:
            return "done"
        if self._problem:
            return "failed"
        self._lab.measuring(self)
        return "measuring"

    @property
    def problem(self) -> str:
        """Why it could not be measured; empty where it could, or will be."""
        return self._problem or (self.sweep.record.reason if self.sweep.status == "failed" else "")

    def table(self) -> pd.DataFrame:
        """What is measured by now, a row a figure; of a claim that ``looks`` nothing until it is done."""
        if self.claim.looks:
            found = self._measured()
            return pd.DataFrame(columns=list(COLUMNS)) if found is None else found
        runs = runs_of(self._lab.store, self.sweep.record, self.claim)
        return self.claim.measure(runs) if runs else pd.DataFrame(columns=list(COLUMNS))

    def verdict(self) -> Verdict:
        """By the claim's rule. Raises ConfigError while it is not done, or where runs failed."""
        if self.state != "done":
            raise ConfigError(f"Trial {self.id} is {self.state}: there is no verdict yet.")
        return self.claim.judge(self.table())

    def wait(self, timeout: float | None = None) -> TrialHandle:
        """Block until it is done. Raises EngineError after ``timeout`` seconds, or where it cannot be measured."""
        end = None if timeout is None else time.monotonic() + timeout
        self.sweep.wait(timeout)
        while (state := self.state) == "measuring":
            if end is not None and time.monotonic() > end:
                raise EngineError(f"Trial {self.id} is still being measured after {timeout:g} s; it goes on.")
            time.sleep(POLL_S)
        if state != "done":
            raise EngineError(f"Trial {self.id} is {state}. {self.problem}".strip())
        return self

    def stop(self) -> None:
        """Start nothing more, and stop what runs; what is done stays, and ``resume`` goes on."""
        self.sweep.stop()

    def resume(self) -> None:
        """Go on with what is left."""
        self.sweep.resume()

    def measure_again(self) -> None:
        """Forget what was measured, or why it could not be, and measure anew: the clock says something else by now."""
        if self.claim.looks:
            self._keep(None, "")

    def _measured(self) -> pd.DataFrame | None:
        if self._table is None and not self._problem:
            _, self._table, self._problem = self._file.read()
        return self._table

    def _keep(self, table: pd.DataFrame | None, problem: str) -> None:
        self._file.write(self.claim, table, problem)
        self._table, self._problem = table, problem


class Trying(Sweeping):
    """What a Lab knows of claims."""

    home: Path

    def _call(self, question: Callable[[Client], Any]) -> Any:
        raise NotImplementedError

    def trial(
        self,
        claim: Claim | str,
        *,
        owner: str = "",
        priority: int = 0,
        where: Literal["auto", "here", "workers"] = "auto",
        estimate: Estimate | None = None,
    ) -> TrialHandle:
        """Put a claim, or the registered one of that name, on trial and return at once; the rest is as in ``sweep``.

        Runs that the store has are not made again. Raises ConfigError where the claim cannot be run, or where a worker
        would have to measure for one that is defined in a notebook: then use ``where="here"``, or ``pc.trial``.
        """
        claim = named(claim)
        claim.to_dict()  # says what has no name
        if where != "here" and claim.looks and self.scheduler is None:
            check_parts([claim])
        label = Claim.registry[claim.registered_as].label
        sweep = self.sweep(
            claim.experiments(), name=f"Claim: {label}", owner=owner, priority=priority, where=where, estimate=estimate
        )  # fmt: skip
        file = self._trial_file(sweep.id)
        file.write(claim)
        handle = TrialHandle(sweep, file, self)
        if where == "here" and claim.looks:
            handle._keep(measure(self.store, claim, sweep.id), "")
        return handle

    def trial_handle(self, trial_id: str) -> TrialHandle:
        """The trial of that id. Raises RunNotFoundError, or StoreError where it is a sweep of another kind."""
        return TrialHandle(self.sweep_handle(trial_id), self._trial_file(trial_id), self)

    def measuring(self, trial: TrialHandle) -> Measuring:
        """The measurement of a trial whose runs are done, begun where it is not going on yet."""
        with _lock:
            known = _going.get(trial.id)
            if known is None or not known.alive:
                for one in [key for key, other in _going.items() if not other.alive]:
                    del _going[one]
                known = _going[trial.id] = Measuring(self._call, self.store.url, trial.claim, trial.id, trial._keep)
            return known

    def _trial_file(self, trial_id: str) -> TrialFile:
        return TrialFile(self.home / "claims" / f"{trial_id}.json")


_going: dict[str, Measuring] = {}  # in this process, whoever looks
_lock = threading.Lock()
