"""Measuring what a claim asks for once all its runs are done: in a worker, for it looks at models and at the clock."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pandas as pd
from distributed import Client, Future, KilledWorker
from torch import nn

from prune_core.claims import Claim, Run, check_finished, of_row
from prune_core.errors import ConfigError, EngineError, LabError, StoreUnavailableError
from prune_core.experiment import Experiment
from prune_core.jobs import local
from prune_core.measuring.weights import Masks
from prune_core.tracking import Store, SweepRecord, Sweeps, files, results
from prune_core.training import restore_model

PRIORITY = -40  # Dask's: below sliders and curves where the preview worker has to do it
LOOK_S = 1.0
SPARE_S = 15.0  # beyond thrice the time it should take: then it waits behind a run that its worker was given meanwhile
DEATHS = 2
BEAT_S = 2.0
LONGEST_S = 600.0

log = logging.getLogger("prune_core.jobs")


def runs_of(store: Store, record: SweepRecord, claim: Claim) -> list[Run]:
    """The runs of a trial that have ended so far, in the order of the claim's arms; models are loaded when asked for.

    Raises ConfigError where the claim asks for other runs by now than when the trial began.
    """
    members, places = record.sweep.members(), claim.places()
    if len(members) != len(places):
        raise ConfigError("This claim has changed since the trial began: run it again.")
    found = []
    for values in results(store.database, record).to_dict("records"):
        at = int(values["member"])
        if values["run"] and values["status"] in ("finished", "diverged", "failed", "stopped", "cancelled"):
            experiment = members[at].experiment
            load = partial(_load, experiment, str(values["run"]))
            found.append(of_row(values, *places[at], experiment, load))
    return found


def _load(experiment: Experiment, run_id: str) -> tuple[nn.Module, Masks]:
    return restore_model(experiment, files.checkpoint(run_id))


def measure(store: Store, claim: Claim, trial_id: str) -> pd.DataFrame:
    """The figures of a trial whose runs are all done. Raises LabError where some did not finish."""
    runs = runs_of(store, Sweeps(store).record(trial_id), claim)
    check_finished(runs)
    return claim.measure(runs)


def measure_in_worker(store_url: str, claim: Mapping[str, Any], trial_id: str) -> pd.DataFrame | LabError:
    """``measure``, called in a worker; what is wrong comes back as a LabError."""
    from prune_core.jobs.worker import store

    try:
        return measure(store(store_url), Claim.from_dict(claim), trial_id)
    except LabError as error:
        return error
    except Exception as error:  # people's own claims may raise anything
        log.exception("Trial %s", trial_id)
        return ConfigError(f"This could not be measured: {type(error).__name__}: {str(error)[:200]}")


class Measuring:
    """One trial being measured, by a thread that asks a worker without a run, and another one where that gets one.

    ``alive`` is told every few seconds that it goes on; where it says False, nobody wants to know any more.
    """

    def __init__(
        self, call: Callable[[Callable[[Client], Any]], Any], store_url: str, claim: Claim, trial_id: str,
        done: Callable[[pd.DataFrame | None, str], object], alive: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._call, self._done, self._beat = call, done, alive
        self._beaten = time.monotonic()
        self._what = (store_url, claim.to_dict(), trial_id)
        self._patience = SPARE_S + 3 * claim.measuring_s
        self._thread = threading.Thread(target=self._drive, name=f"trial-{trial_id}", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it is still going on."""
        return self._thread.is_alive()

    def wait(self, timeout: float | None = None) -> None:
        """Until it is over, or ``timeout`` seconds."""
        self._thread.join(timeout)

    def _drive(self) -> None:
        try:
            self._done(self._answer(), "")
        except LabError as error:
            self._done(None, str(error))
        except Exception as error:
            log.exception("A trial could not be measured")
            self._done(None, f"{type(error).__name__}: {str(error)[:200]}")

    def _answer(self) -> pd.DataFrame:
        deaths, end = 0, time.monotonic() + LONGEST_S
        while time.monotonic() < end:
            worker = self._free()
            future: Future[Any] = self._call(partial(self._submit, worker))
            began = time.monotonic()
            while future.status == "pending" and time.monotonic() < end:
                time.sleep(0.1)
                self._said_alive()
                if time.monotonic() - began > self._patience and not self._still(worker):
                    break
            if future.status == "finished":
                answer = future.result()
                if isinstance(answer, LabError):
                    raise answer
                assert isinstance(answer, pd.DataFrame)
                return answer
            if future.status == "error" and not isinstance(future.exception(), KilledWorker):
                raise EngineError(f"The measurement was ended by {type(future.exception()).__name__}.")
            deaths += future.status in ("error", "lost", "cancelled")
            future.cancel()
            if deaths >= DEATHS:
                raise EngineError("The measurement's worker process died twice; the model may be too large.")
        raise EngineError(f"The measurement took over {LONGEST_S:g} s.")

    def _said_alive(self) -> None:
        if time.monotonic() - self._beaten > BEAT_S:
            self._beaten = time.monotonic()
            with contextlib.suppress(StoreUnavailableError):  # for a moment, maybe; what came out is written in the end
                if not self._beat():
                    raise EngineError("This is measured by another process by now.")

    def _workers(self) -> list[dict[str, Any]]:
        found = self._call(lambda client: local.ask(client, "status"))["workers"]
        return [worker for worker in found if not worker["problem"]]

    def _free(self) -> dict[str, Any]:
        workers = self._workers()
        free = [w for w in workers if w["role"] == "train" and not w["run"]]
        rest = [w for w in workers if w["role"] == "preview"]
        if not (free or rest or workers):
            raise EngineError("No worker is there to measure it.")
        return (free or rest or workers)[0]

    def _still(self, worker: dict[str, Any]) -> bool:
        """Whether the worker is there and has no run; whoever asks waits a moment for the answer."""
        time.sleep(LOOK_S)
        own = next((w for w in self._workers() if w["address"] == worker["address"]), None)
        return own is not None and not (own["run"] and own["role"] == "train")

    def _submit(self, worker: dict[str, Any], client: Client) -> Future[Any]:
        return client.submit(
            measure_in_worker, *self._what, key=f"trial-{time.time_ns():x}", workers=[worker["address"]],
            allow_other_workers=False, resources={"preview": 1} if worker["role"] == "preview" else None,
            priority=PRIORITY, retries=0, pure=False,
        )  # fmt: skip
