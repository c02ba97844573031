"""Whether a worker may be given work: it must be what the scheduler is, whenever it joins."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from distributed import Client
from distributed.scheduler import WorkerState

from prune_core.jobs import place

ANSWER_S = 60.0  # a worker that has just started may still import torch

log = logging.getLogger("prune_core.jobs")


def differs(who: str, theirs: object, other: str, mine: dict[str, str]) -> str:
    """A sentence that says what ``who`` has and ``other`` has not, empty where they agree.

    ``theirs`` is the answer to ``place.about``, or the error that came instead.
    """
    if not isinstance(theirs, dict):
        return f"{who} cannot use prune_core ({type(theirs).__name__}: {theirs}); it needs {mine['has']}."
    if theirs["has"] != mine["has"]:
        return f"{who} has {theirs['has']}, but {other} has {mine['has']}; install the same everywhere."
    if theirs["files"] != mine["files"]:
        where, here = theirs["files"] or "its own home", mine["files"] or "each machine's home"
        return f"{who} keeps files of runs in {where}, but {other} in {here}; set PRUNE_LAB_FILES the same everywhere."
    return ""


class Meeting:
    """What is known of each worker, by address. ``woken`` is called whenever something new is."""

    def __init__(self, woken: Callable[[], None]) -> None:
        self._woken = woken
        self._problems: dict[str, str] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}

    def welcome(self, worker: WorkerState) -> bool:
        """Whether it is known to fit."""
        return self._problems.get(worker.address) == ""

    def problem(self, worker: WorkerState) -> str:
        """Why it gets no work, as a sentence; empty where it does, or was not heard yet."""
        return self._problems.get(worker.address, "")

    def ask(self, client: Client, workers: Iterable[WorkerState]) -> None:
        """Ask all that are new, each on its own; forget those that are gone."""
        there = {worker.address: worker for worker in workers}
        self._problems = {address: found for address, found in self._problems.items() if address in there}
        for address in there.keys() - self._problems.keys() - self._asking.keys():
            self._asking[address] = asyncio.create_task(self._ask(client, there[address]))

    async def _ask(self, client: Client, worker: WorkerState) -> None:
        name = f"Worker {worker.name} ({worker.address})"
        try:
            answers: Any = await asyncio.wait_for(
                client.run(place.about, workers=[worker.address], on_error="return"), ANSWER_S
            )
            found = differs(name, answers[worker.address], "the scheduler", place.about())
            if found:
                log.warning("%s It gets no runs.", found)
            self._problems[worker.address] = found
        except (OSError, TimeoutError, KeyError):  # it is gone, or busy: it is asked again
            log.info("%s does not answer yet.", name)
        finally:
            del self._asking[worker.address]
            self._woken()
