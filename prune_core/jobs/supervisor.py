"""What makes a Dask scheduler a job engine: it gives queued runs to free workers, and ends those that must end.

The store is the truth. Dask never holds a queue of ours: the supervisor hands a worker one run at a time, the fairest
first. While it works, the supervisor looks up whose turn is next, so that a worker waits for no question to the store.
So a scheduler that dies loses nothing, a killed worker takes only its own run with it, and the place in the queue that
people see is the place they have.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from distributed import Client, Scheduler
from distributed.core import rpc
from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.scheduler import WorkerState

from prune_core.events import ENDED, Status
from prune_core.jobs import place
from prune_core.jobs.meeting import Meeting
from prune_core.jobs.tending import Tender
from prune_core.jobs.worker import execute_job
from prune_core.tracking import RETRY, Store, files, start_publisher

TICK_S = 1.0  # how often the store is looked at when nobody wakes the supervisor
HURRY_S = 0.2  # and how often where a sweep is on the lookout for runs to stop early
PATIENCE_S = 5.0  # how long a run may take to follow a stop before its process is ended
SENDING_S = 60.0  # ... where its last checkpoint has to be sent to shared files
KILL_S = 0.5  # what a worker process gets to close by itself
AHEAD_S = 1.0  # how old a look at whose turn is next may be; one half as old is renewed while the workers work
AHEAD = 4  # runs a worker that are looked up at a time

log = logging.getLogger("prune_core.jobs")


@dataclass
class Job:
    """One run on one worker, or the lanes of one ``race``."""

    run_ids: list[str]
    worker: str
    race: str = ""
    task: asyncio.Task[None] | None = None
    heard: dict[str, int] = field(default_factory=dict)  # last control seen, by who was told
    told: set[str] = field(default_factory=set)  # who was told to stop
    overdue: float | None = None  # since when it should have been over, by the monotonic clock
    verdict: tuple[Status, str] | None = None  # status and reason to write when its worker is gone


class Supervisor(SchedulerPlugin):
    """Runs on the scheduler, the local engine's or a cluster's, for one store.

    ``on_idle`` is called when for ``idle_s`` nobody was connected and nothing ran.
    """

    name = "prune-lab"
    idempotent = True

    def __init__(self, store: str, *, idle_s: float = float("inf"), on_idle: Callable[[], None] | None = None) -> None:
        self.store_url = store
        self._idle_s, self._on_idle = idle_s, on_idle
        self._jobs: dict[str, Job] = {}  # by worker address
        self._tried: dict[str, float] = {}  # when a run was last given to a worker
        self._next: list[tuple[str, list[str]]] = []  # whose turn it is, a race and its lanes or a run alone
        self._next_at = self._asked_at = -AHEAD_S  # when that was looked up, and when somebody last had something new

    # --- Dask's hooks -------------------------------------------------------------------------------------------------
    async def start(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._woken = asyncio.Event()
        self._meeting = Meeting(self._woken.set)
        self._patience = SENDING_S if files.shared() else PATIENCE_S
        self._busy_at = time.monotonic()
        self._store = await asyncio.to_thread(Store, self.store_url)
        self._tender = Tender(self._store)
        scheduler.handlers["prune_lab"] = self.answer
        self._loop = asyncio.create_task(self._supervise())

    async def before_close(self) -> None:
        self._loop.cancel()
        for job in list(self._jobs.values()):
            await self._end(job, "failed", f"the engine was shut down; {RETRY} from the last checkpoint")

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        self._woken.set()

    async def remove_worker(self, scheduler: Scheduler, worker: str, *, stimulus_id: str, **more: Any) -> None:
        if (job := self._jobs.pop(worker, None)) is not None:
            if job.task is not None:  # a scheduler that allows failures would keep the run for a worker of that address
                job.task.cancel()
            status, reason = job.verdict or (
                "failed",
                f"its worker process died (killed, or out of memory); {RETRY} from the last checkpoint",
            )
            await self._end(job, status, reason)
        self._woken.set()

    async def answer(self, ask: str) -> dict[str, Any]:
        """What clients ask over the scheduler's own connection: ``wake`` after a launch, ``status``."""
        if ask == "wake":
            self._asked_at = time.monotonic()  # something new may go first
            self._woken.set()
            return {}
        return {
            "store": self.store_url,
            "version": place.version(),
            "active": len(self._jobs),
            "workers": [self._describe(ws) for ws in self._scheduler.workers.values()],
        }

    def _describe(self, ws: WorkerState) -> dict[str, Any]:
        job = self._jobs.get(ws.address)
        role = next((r for r in ("train", "preview") if r in ws.resources), "train")
        busy = job is not None or bool(ws.processing)
        return {
            "name": str(ws.name),
            "role": role,
            "gpu": "GPU" in ws.resources,
            "state": "refused" if self._meeting.problem(ws) else "busy" if busy else "idle",
            "problem": self._meeting.problem(ws),
            "run": job.run_ids[0] if job else "",
            "pid": ws.pid,
            "address": ws.address,
        }

    # --- the loop -----------------------------------------------------------------------------------------------------
    async def _supervise(self) -> None:
        security = self._scheduler.security
        async with Client(self._scheduler.address, asynchronous=True, security=security, name=self.name) as client:
            self._client = client
            looked = -TICK_S
            while True:
                try:
                    self._meeting.ask(client, self._scheduler.workers.values())
                    if time.monotonic() - looked >= TICK_S:
                        looked = time.monotonic()
                        await self._look_after()
                    await self._dispatch()  # before sweeps are tended: a free worker need not wait for that
                    await asyncio.to_thread(self._tender.tend, max(1, len(self._train_workers())))
                    await self._dispatch()
                    await self._look_ahead()
                except Exception:  # a store that is locked or away for a moment must not end the supervisor
                    log.exception("The supervisor goes on after this:")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), HURRY_S if self._tender.hurried else TICK_S)
                self._woken.clear()

    async def _dispatch(self) -> None:
        free = [ws.address for ws in self._train_workers() if ws.address not in self._jobs]
        for addresses, cuda in self._shares(free) if free else []:
            if addresses := [address for address in addresses if address not in self._jobs]:
                waiting = await self._waiting(len(addresses), cuda)
                for address, (race, run_ids) in zip(addresses, waiting, strict=False):
                    self._give(address, race, run_ids)

    async def _waiting(self, n: int, cuda: bool | None = None) -> list[tuple[str, list[str]]]:
        """The first ``n`` that nobody has: runs alone, or a race and its lanes."""
        taken = self._taken()
        queue = await asyncio.to_thread(self._store.turn, n + len(taken), cuda)
        waiting = [run_id for run_id in queue if run_id not in taken]
        return [await asyncio.to_thread(self._store.together, run_id) for run_id in waiting[:n]]

    def _taken(self) -> set[str]:
        # what was just given away is being claimed, or could not be: then it must not be tried without a pause
        self._tried = {run_id: at for run_id, at in self._tried.items() if time.monotonic() - at < TICK_S}
        return {run_id for job in self._jobs.values() for run_id in job.run_ids} | self._tried.keys()

    def _give(self, address: str, race: str, run_ids: list[str]) -> bool:
        """Have a worker begin with what it is its turn to; whether it did."""
        taken = self._taken()
        together = [one for one in run_ids if one not in taken]
        if not together or address not in self._scheduler.workers or address in self._jobs:
            return False
        job = self._jobs[address] = Job(together, address, race)
        self._tried |= dict.fromkeys(together, time.monotonic())
        job.task = asyncio.create_task(self._follow(job))
        return True

    async def _look_ahead(self) -> None:
        """Look up whose turn is next while every worker is at it; not where it depends on which of them is free."""
        workers = self._train_workers()
        if (
            self._jobs
            and not self._ahead(len(workers), AHEAD_S / 2)
            and not any("GPU" in ws.resources for ws in workers)
        ):
            self._next, self._next_at = [], time.monotonic()
            self._next = await self._waiting(AHEAD * len(workers))

    def _ahead(self, n: int, age_s: float = AHEAD_S) -> bool:
        """Whether it is known whose turn the next ``n`` times is, by a look that is not older."""
        return len(self._next) >= n and self._asked_at < self._next_at > time.monotonic() - age_s

    def _go_on(self, address: str) -> bool:
        """Give a worker that has just become free what was looked up for it; whether nobody need look."""
        workers = [ws.address for ws in self._train_workers()]
        given = False
        while not given and address in workers and self._ahead(1):
            given = self._give(address, *self._next.pop(0))
        return given and self._ahead(len(workers), AHEAD_S / 2)

    def _shares(self, free: list[str]) -> list[tuple[list[str], bool | None]]:
        """Which workers are filled with which runs, one after the other: all alike, or only (no) runs on a GPU.

        Where workers declare GPUs, runs with device "cuda" go there and nowhere else, and go first; other runs take
        the other workers first. Where none does, a run that finds no GPU says so itself.
        """
        gpus = {ws.address for ws in self._train_workers() if "GPU" in ws.resources}
        if not gpus:
            return [(free, None)]
        return [([a for a in free if a in gpus], True), (sorted(free, key=gpus.__contains__), False)]

    def _train_workers(self) -> list[WorkerState]:
        workers = [ws for ws in self._scheduler.workers.values() if ws in self._scheduler.running]
        workers = [ws for ws in workers if self._meeting.welcome(ws)]
        declared = any("train" in ws.resources for ws in workers)  # a cluster that knows no resources is used as it is
        return [ws for ws in workers if "train" in ws.resources or (not declared and "preview" not in ws.resources)]

    async def _follow(self, job: Job) -> None:
        """Give ``job`` to its worker and free the worker when it is over, however it ends."""
        try:
            future = self._client.submit(
                execute_job,
                self.store_url,
                job.run_ids,
                job.race,
                key=f"run-{job.run_ids[0]}-{time.time_ns():x}",
                workers=[job.worker],
                allow_other_workers=False,
                pure=False,
                retries=0,
            )
            await future
        except asyncio.CancelledError:
            raise
        except Exception as error:  # execute_job never raises: this is Dask's word that the worker is gone
            log.warning("Run %s: %s", job.run_ids[0], error)
        finally:
            if self._jobs.get(job.worker) is job:
                # a worker that died is announced by remove_worker, which writes why; it still finds the job then
                if job.worker in self._scheduler.workers:
                    del self._jobs[job.worker]
                if not self._go_on(job.worker):
                    self._woken.set()

    async def _look_after(self) -> None:
        """Mark runs without a process, and end processes whose run should be over."""
        now = time.monotonic()
        if await asyncio.to_thread(self._store.reap):
            await asyncio.to_thread(start_publisher, self._store)
        for job in list(self._jobs.values()):
            if job.overdue is None and await asyncio.to_thread(self._should_end, job):
                job.overdue = now
            if job.overdue is not None and now - job.overdue > self._patience:
                await self._end_process(job)
        if self._jobs or len(self._scheduler.clients) > 1:  # one of the clients is the supervisor's own
            self._busy_at = now
        elif now - self._busy_at > self._idle_s and self._on_idle is not None:
            log.info("Nobody was here for %.0f s: the engine ends.", self._idle_s)
            self._on_idle()

    def _should_end(self, job: Job) -> bool:
        """Whether all of it was told to stop, or lost its place in the store, while its worker still works on it."""
        for one in (*job.run_ids, job.race) if job.race else job.run_ids:
            for control in self._store.controls(one, job.heard.get(one, 0)):
                job.heard[one] = control.id
                if control.command == "stop" and control.value is None:  # with one it has steps to make before
                    job.told.add(one)
        ended = set()
        for run_id in job.run_ids:
            status = self._store.run(run_id).status
            if status == "cancelled":  # whoever cancels it may have no process that publishes
                start_publisher(self._store)
            if status in ENDED:
                ended.add(run_id)
        return job.race in job.told or job.told | ended >= set(job.run_ids)

    async def _end(self, job: Job, status: Status, reason: str) -> None:
        """Write how runs ended whose process can no longer do it. What was not claimed yet stays in the queue."""
        for run_id in job.run_ids:
            if await asyncio.to_thread(self._store.fail, run_id, status, reason):
                await asyncio.to_thread(start_publisher, self._store)

    async def _end_process(self, job: Job) -> None:
        ws = self._scheduler.workers.get(job.worker)
        if ws is None or not ws.nanny:
            return  # without a nanny nobody could start the process again
        log.warning("Run %s does not end by itself: its worker process %s is ended.", job.run_ids[0], ws.pid)
        job.verdict = (
            "stopped",
            (f"it did not stop within {self._patience:g} s, so its process was ended; its last checkpoint is kept"),
        )
        async with rpc(ws.nanny, connection_args=self._scheduler.connection_args) as nanny:
            await nanny.kill(timeout=KILL_S, reason="run-does-not-end")
