"""Executions of lessons: queued, shared by all who ask for the same, cached, cancelled when nobody waits any more.

Pages ask from any thread; the kernels live in one asyncio loop in a thread of its own. A page reads ``Execution.now``,
a snapshot that is replaced and never changed.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import hashlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import psutil

from prune_core import __version__
from prune_core.errors import ConfigError, LabError
from prune_core.jobs import place
from prune_core.lessons.exercises import Answer
from prune_core.lessons.kernels import Kernel, Pool, PoolSettings
from prune_core.lessons.outputs import Shown, Trouble
from prune_core.lessons.parameters import Value, check_values
from prune_core.lessons.reading import Lesson
from prune_core.lessons.running import run_lesson

MOST_RESULTS = 512
MOST_BYTES = 128_000_000  # of results kept; the oldest go first
MOST_WAITING = 200
GONE_S = 30.0  # who has not looked for so long is not waiting any more
BACKGROUND = "background"  # nobody's name: executed when there is nothing else to do
NICE = 15

State = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Now:
    """How far an execution is: ``done`` of ``total`` code cells; ``cells`` holds what came, by the cell's index."""

    state: State = "queued"
    done: int = 0
    total: int = 0
    cells: Mapping[int, Shown] = field(default_factory=dict)
    trouble: Trouble | None = None
    seconds: float = 0.0

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ENDED

    @property
    def answers(self) -> dict[str, Answer]:
        """What check cells worked out, by the exercise's id."""
        return {id: answer for shown in self.cells.values() for id, answer in shown.answers}


class Execution:
    """One lesson with one set of values. All who ask for the same get the same one."""

    def __init__(self, lesson: Lesson, values: Mapping[str, Value], digest: str) -> None:
        self.lesson, self.values, self.digest = lesson, dict(values), digest
        self.now = Now(total=sum(cell.is_code for cell in lesson.cells))
        self.ended = threading.Event()
        self.followers: dict[str, float] = {}  # by visitor: when they looked last
        self.kernel: Kernel | None = None
        self.asked = time.monotonic()
        self.size = 0  # about how many bytes its results take, once it has ended

    def wait(self, seconds: float) -> bool:
        """Wait for the end, at most so long; whether it has come."""
        return self.ended.wait(seconds)

    def wanted(self) -> bool:
        """Whether somebody still waits for it."""
        newest = max((t for who, t in self.followers.items() if who != BACKGROUND), default=-1e9)
        return BACKGROUND in self.followers or time.monotonic() - newest < GONE_S


class Executor:
    """The queue, the cache and the pool. Everything starts with the first execution."""

    def __init__(self, settings: PoolSettings | None = None, *, pool: Pool | None = None) -> None:
        self.settings = settings or PoolSettings.of_environment()
        self._pool = pool
        self._lock = threading.RLock()
        self._results: OrderedDict[str, Execution] = OrderedDict()
        self._going: dict[str, Execution] = {}  # queued and running, in the order of asking
        self._loop: asyncio.AbstractEventLoop | None = None
        self._bytes = 0
        self._closed = False
        self.executed = 0  # how many were executed, for those who want to know what the cache saves

    # --- asking -------------------------------------------------------------------------------------------------------
    def ask(self, lesson: Lesson, values: Mapping[str, Any], visitor: str = BACKGROUND) -> Execution:
        """The execution of ``lesson`` with ``values``: finished, in progress, or queued just now.

        A visitor waits for one at a time: what they asked for before is cancelled, unless somebody else waits for it.
        Raises ConfigError for values that the lesson does not allow, or where too many wait already.
        """
        checked = check_values(lesson.parameters, dict(values))
        digest = digest_of(lesson, checked)
        with self._lock:
            if visitor != BACKGROUND:
                self._leave(visitor, but=digest)
            found = self._results.get(digest)
            if found is not None:
                self._results.move_to_end(digest)
                return found
            found = self._going.get(digest)
            if found is None:
                if len(self._going) >= MOST_WAITING:
                    raise ConfigError(f"{MOST_WAITING} executions wait already; try again in a minute.")
                found = self._going[digest] = Execution(lesson, checked, digest)
                self._start()
            found.followers[visitor] = time.monotonic()
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._next)
            return found

    def look(self, execution: Execution, visitor: str) -> Now:
        """How far it is; whoever looks still waits for it."""
        if not execution.now.ended:
            with self._lock:
                execution.followers[visitor] = time.monotonic()
        return execution.now

    def ahead(self, execution: Execution) -> int:
        """How many wait before it; 0 for the next one, and for one that runs or has ended."""
        with self._lock:
            waiting = [e for e in self._queue() if e.now.state == "queued"]
        return waiting.index(execution) if execution in waiting else 0

    def leave(self, visitor: str) -> None:
        """The visitor waits for nothing any more."""
        with self._lock:
            self._leave(visitor)

    def cancel(self, execution: Execution) -> None:
        """End it, for all who wait."""
        with self._lock:
            if execution.now.ended:
                return
            kernel, loop = execution.kernel, self._loop
            self._end(execution, replace(execution.now, state="cancelled"))
        if kernel is not None and loop is not None:
            loop.call_soon_threadsafe(kernel.kill)

    def close(self) -> None:
        """End all executions and kernels."""
        with self._lock:
            self._closed = True
            for execution in list(self._going.values()):
                self._end(execution, replace(execution.now, state="cancelled"))
            loop, pool, self._loop = self._loop, self._pool, None
        if loop is not None:
            with contextlib.suppress(Exception):
                asyncio.run_coroutine_threadsafe(_finish(pool), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)

    # --- in the loop --------------------------------------------------------------------------------------------------
    def _start(self) -> None:
        if self._closed:
            raise ConfigError("This server is ending.")
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="lessons", daemon=True).start()
            atexit.register(self.close)

    def _queue(self) -> list[Execution]:
        """Who is next: visitors in their order, then what is done in the background."""
        return sorted(self._going.values(), key=lambda e: (set(e.followers) == {BACKGROUND}, e.asked))

    def _next(self) -> None:
        """Begin what there is room for."""
        with self._lock:
            running = [e for e in self._going.values() if e.now.state == "running"]
            for execution in self._queue():
                if execution.now.state != "queued":
                    continue
                if not execution.wanted():
                    self._end(execution, replace(execution.now, state="cancelled"))
                    continue
                quiet = set(execution.followers) == {BACKGROUND}
                room = max(1, self.settings.kernels - 1) if quiet else self.settings.kernels
                if len(running) >= room:
                    return
                execution.now = replace(execution.now, state="running")
                running.append(execution)
                asyncio.ensure_future(self._execute(execution, quiet))  # noqa: RUF006 (held by the loop until it ends)

    async def _execute(self, execution: Execution, quiet: bool) -> None:
        if self._pool is None:
            self._pool = Pool(self.settings)
        kernel = None
        began = time.monotonic()
        trouble: Trouble | None
        try:
            kernel = await self._pool.take(execution.lesson.path.parent)
            if execution.now.ended:
                return
            execution.kernel = kernel
            if quiet:
                with contextlib.suppress(psutil.Error):
                    psutil.Process(kernel.pid).nice(NICE)
            began = time.monotonic()
            self.executed += 1
            trouble = await run_lesson(
                execution.lesson, execution.values, kernel, self.settings, functools.partial(self._came, execution)
            )
        except LabError as error:
            trouble = Trouble(None, str(error), lasting=False)
        except Exception as error:  # a fault of ours must not leave a visitor waiting
            trouble = Trouble(None, f"The lesson could not be executed: {type(error).__name__}: {error}", lasting=False)
        finally:
            if kernel is not None:
                self._pool.give_back(kernel)
            execution.kernel = None
            self._next_soon()
        state: State = "failed" if trouble is not None else "done"
        with self._lock:
            if not execution.now.ended:
                now = replace(execution.now, state=state, trouble=trouble, seconds=time.monotonic() - began)
                self._end(execution, now)

    def _came(self, execution: Execution, index: int, shown: Shown) -> None:
        with self._lock:
            now = execution.now
            if not now.ended:
                execution.now = replace(now, done=now.done + 1, cells={**now.cells, index: shown})

    def _next_soon(self) -> None:
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._next)

    # --- what has ended -----------------------------------------------------------------------------------------------
    def _leave(self, visitor: str, but: str = "") -> None:
        for digest, execution in list(self._going.items()):
            if digest != but and execution.followers.pop(visitor, None) is not None and not execution.followers:
                self.cancel(execution)

    def _end(self, execution: Execution, now: Now) -> None:
        execution.now = now
        self._going.pop(execution.digest, None)
        lasting = now.state == "done" or (now.state == "failed" and now.trouble is not None and now.trouble.lasting)
        if lasting:
            execution.size = 2000 + sum(shown.size for shown in now.cells.values())
            self._results[execution.digest] = execution
            self._bytes += execution.size
            while len(self._results) > MOST_RESULTS or (len(self._results) > 1 and self._bytes > MOST_BYTES):
                self._bytes -= self._results.popitem(last=False)[1].size
        execution.followers.clear()
        execution.ended.set()


async def _finish(pool: Pool | None) -> None:
    """End the pool, and what of executions still goes on in the loop."""
    if pool is not None:
        await pool.close()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


def digest_of(lesson: Lesson, values: Mapping[str, Value]) -> str:
    """What decides the outputs: the cells, the values, and the lab as it is in this process."""
    said = [lesson.content, str(lesson.path.parent), dict(values), __version__, place.changed()]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


@functools.cache
def executor() -> Executor:
    """This process's executor, shared by all visitors."""
    return Executor()
