"""Claims on trial in the lab: their runs as a sweep, what was measured, the verdict; found again by id."""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from distributed import Client

from prune_core.claims import COLUMNS, Claim, Verdict, named
from prune_core.errors import ConfigError, EngineError, LabError, StoreError
from prune_core.jobs.estimate import Estimate
from prune_core.jobs.sweeping import Sweeping, Where, check_parts
from prune_core.jobs.sweeps import SweepHandle
from prune_core.jobs.trying import Measuring, measure, runs_of
from prune_core.tracking import TrialRecord, Trials

State = Literal["running", "measuring", "done", "stopped", "failed"]
POLL_S = 0.2
log = logging.getLogger("prune_core.jobs")
LISTED = ("id", "claim", "state", "verdict", "problem", "owner", "created")


def table_of(split: dict[str, Any]) -> pd.DataFrame:
    """A table of measured figures as JSON keeps it."""
    found = pd.DataFrame(split["data"], columns=split["columns"])
    return found.astype({"at": float, "value": float, "seed": int})[list(COLUMNS)]


def _text(table: pd.DataFrame) -> str:
    """The same as JSON, to the last digit; what is not finite is null."""
    rows = table[list(COLUMNS)].to_dict("split", index=False)["data"]
    return json.dumps(
        {
            "columns": list(COLUMNS),
            "data": [[None if isinstance(v, float) and not math.isfinite(v) else v for v in row] for row in rows],
        }
    )


def _sentence(error: Exception) -> str:
    if isinstance(error, LabError):
        return str(error)
    log.warning("A trial could not be measured or judged", exc_info=error)
    return f"This could not be measured or judged: {type(error).__name__}: {str(error)[:200]}"


class TrialHandle:
    """A claim on trial. All is read from the store, from whatever process; nothing here waits but ``wait``.

    ``id`` is also that of its sweep.
    """

    def __init__(self, sweep: SweepHandle, trials: Trials, lab: Trying) -> None:
        self.id, self.sweep = sweep.id, sweep
        self._trials, self._lab = trials, lab
        self.claim = Claim.from_dict(trials.record(self.id).claim)

    def __repr__(self) -> str:
        return f"TrialHandle({self.id}: “{self.claim.statement}” {self.state})"

    @property
    def record(self) -> TrialRecord:
        """Everything the store knows of it, as of now."""
        return self._trials.record(self.id)

    @property
    def state(self) -> State:
        """Runs are "running"; then, where models or the clock are looked at, "measuring"; in the end "done".

        Asking is what starts the measurement once all runs are done, in whichever process is the first to ask; where
        that one dies, the next one that asks takes it over. "stopped" can be resumed.
        """
        record = self.record
        if record.status != "finished":
            return "running" if record.status == "running" else "stopped" if record.status == "stopped" else "failed"
        if record.problem:
            return "failed"
        if record.figures is not None:
            return "done"
        if self.claim.looks:
            self._lab.measuring(self)
        elif self.measure_here():  # what runs have recorded is read in a moment
            return "failed" if self.record.problem else "done"
        return "measuring"

    @property
    def problem(self) -> str:
        """Why it could not be measured or judged; empty where it could, or will be."""
        return self.record.problem or (self.sweep.record.reason if self.sweep.status == "failed" else "")

    def table(self) -> pd.DataFrame:
        """What is measured by now, a row a figure; of a claim that ``looks`` nothing until it is done."""
        figures = self.record.figures
        if figures is not None:
            return table_of(json.loads(figures))
        runs = [] if self.claim.looks else runs_of(self._lab.store, self.sweep.record, self.claim)
        return self.claim.measure(runs) if runs else pd.DataFrame(columns=list(COLUMNS))

    def verdict(self) -> Verdict:
        """By the claim's rule. Raises ConfigError while it is not done, or where runs failed."""
        if (state := self.state) != "done":
            raise ConfigError(f"Trial {self.id} is {state}: there is no verdict yet. {self.problem}".strip())
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
        """Go on with what is left; runs that failed are tried again. Raises StoreError where nothing is left."""
        self.sweep.resume()
        self._trials.forget(self.id)

    def measure_again(self) -> None:
        """Forget what was measured, or why it could not be, and measure anew: the clock says something else by now."""
        if self.claim.looks:
            self._trials.forget(self.id)

    def measure_here(self) -> bool:
        """Measure and judge it in this process; False where another one is at it, or it is done already."""
        token = self._trials.take(self.id)
        if token is None:
            return False
        try:
            return self.conclude(token, measure(self._lab.store, self.claim, self.id), "")
        except Exception as error:  # people's own claims may raise anything
            return self.conclude(token, None, _sentence(error))

    def conclude(self, token: str, table: pd.DataFrame | None, problem: str) -> bool:
        """Note what was measured and the verdict on it, or why there is none; False without the right to."""
        figures, verdict = None, None
        if table is not None:
            figures = _text(table)
            try:
                found = self.claim.judge(table_of(json.loads(figures)))
                verdict = {"word": found.word, "sentence": found.sentence, "on": found.on}
            except Exception as error:
                problem = _sentence(error)
        return self._trials.conclude(self.id, token, figures, verdict, problem)


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
        where: Where = "auto",
        estimate: Estimate | None = None,
    ) -> TrialHandle:
        """Put a claim, or the registered one of that name, on trial and return at once; the rest is as in ``sweep``.

        Where a trial of the same claim with the same settings goes on in this store or is done, whoever began it, that
        one is returned, and gone on with where it was cut off; nothing is computed twice. Raises ConfigError where the
        claim cannot be run, or where a worker would have to measure for one that is defined in a notebook: then use
        ``where="here"``, or ``pc.trial``.
        """
        claim = named(claim)
        values = claim.to_dict()  # says what has no name
        if where != "here" and claim.looks and self.scheduler is None:
            check_parts([claim])
        trials, asked = Trials(self.store), claim.experiments()
        known = trials.current(values, asked)
        if known is not None:
            sweep = self._go_on(known, where)
        else:
            label = Claim.registry[claim.registered_as].label
            sweep = self._begin(
                asked, partial(trials.begin, values), name=f"Claim: {label}", owner=owner, priority=priority,
                where=where, estimate=estimate,
            )  # fmt: skip
        handle = TrialHandle(sweep, trials, self)
        if where == "here" and handle.record.status == "finished":
            handle.measure_here()
        return handle

    def tried(self, claim: Claim | str) -> str | None:
        """The id of the trial that ``trial`` would return without a run; None where it would begin one."""
        claim = named(claim)
        return Trials(self.store).current(claim.to_dict(), claim.experiments())

    def trial_handle(self, trial_id: str) -> TrialHandle:
        """The trial of that id, of whichever process. Raises RunNotFoundError, or StoreError for another sweep."""
        trials, sweep = Trials(self.store), self.sweep_handle(trial_id)
        try:
            return TrialHandle(sweep, trials, self)
        except StoreError:
            if not _adopted(trials, self.home, trial_id):
                raise
            return TrialHandle(sweep, trials, self)

    def trials(self, owner: str | None = None, limit: int = 200) -> pd.DataFrame:
        """The newest trials in the store, one a row: id, claim, state, verdict (a word), problem, owner, created.

        ``state`` is "finished" where the runs are done and nobody has asked for the verdict yet.
        """
        rows = []
        for row in Trials(self.store).list(owner, limit):
            word = json.loads(row.verdict)["word"] if row.verdict else ""
            state = "failed" if row.problem else "done" if word else row.status
            rows.append([row.id, row.kind, state, word, row.problem, row.owner, row.created])
        return pd.DataFrame(rows, columns=list(LISTED))

    def measuring(self, trial: TrialHandle) -> Measuring | None:
        """The measurement of a trial whose runs are done, begun where it is not going on yet.

        None where another process is at it.
        """
        with _lock:
            known = _going.get(trial.id)
            if known is not None and known.alive:
                return known
            trials = Trials(self.store)
            token = trials.take(trial.id)
            if token is None:
                return None
            for one in [key for key, other in _going.items() if not other.alive]:
                del _going[one]
            known = _going[trial.id] = Measuring(
                self._call, self.store.url, trial.claim, trial.id, partial(trial.conclude, token),
                partial(trials.beat, trial.id, token),
            )  # fmt: skip
            return known


def _adopted(trials: Trials, home: Path, trial_id: str) -> bool:
    """Whether a trial was found that an earlier version of the lab noted in a file of its home."""
    try:
        content = json.loads((home / "claims" / f"{trial_id}.json").read_text(encoding="utf-8"))
        figures = None if content["table"] is None else json.dumps(content["table"])
        trials.adopt(trial_id, content["claim"], figures, str(content["problem"]))
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True


_going: dict[str, Measuring] = {}  # in this process, whoever looks
_lock = threading.Lock()
