"""Processes that tests start and kill, forked from one that has imported the engine: seconds less for each of them."""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing.connection import Connection

_READY = ["prune_core.jobs", "prune_core.clipping.kernels", "lab_processes"]


class Other:
    """A Python script in a process of its own, with a line to it and a line from it, as ``subprocess.Popen`` has them.

    The process it is forked from has one thread and has opened neither store nor file. It sees this one's environment
    with ``changed`` on top.
    """

    def __init__(self, script: str, *arguments: str, **changed: str) -> None:
        context = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
        context.set_forkserver_preload(_READY)
        (theirs, to), (back, ours) = os.pipe(), os.pipe()
        ends = Connection(theirs, writable=False), Connection(ours, readable=False)
        environment = {**os.environ, **changed}
        self._process = context.Process(target=_run, args=(script, arguments, environment, *ends), daemon=True)
        self._process.start()
        for end in ends:
            end.close()
        assert self._process.pid is not None
        self.pid: int = self._process.pid
        self.stdin = os.fdopen(to, "w")
        self.stdout = os.fdopen(back)

    def go(self) -> None:
        """What it waits for."""
        self.stdin.write("go\n")
        self.stdin.flush()

    def ended(self, timeout: float = 100) -> int | None:
        """Its exit status, once it has ended by itself; None where that does not come."""
        self._process.join(timeout)
        return self._process.exitcode

    def said(self) -> str:
        """All that it said, a few lines, once it has ended; fails where that does not come or an error ended it."""
        assert (status := self.ended()) == 0, status
        return self.stdout.read()

    def kill(self) -> None:
        """End it at once, whatever it does, and close the lines."""
        self._process.kill()
        self._process.join()
        for line in (self.stdin, self.stdout):
            line.close()


def _run(
    script: str, arguments: tuple[str, ...], environment: dict[str, str], theirs: Connection, ours: Connection
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["-c", *arguments]
    with os.fdopen(theirs.fileno(), closefd=False) as sys.stdin, os.fdopen(ours.fileno(), "w", closefd=False) as out:
        sys.stdout = out
        exec(script, {"__name__": "__main__"})
