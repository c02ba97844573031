"""A small pool of kernels that are ready before anybody asks, each used once.

All of it runs in one asyncio loop (``prune_core.lessons.executing`` has one in a thread). The processes are forked
from a nursery, which ends with this process however that ends; where nothing can be forked they start one by one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from queue import Empty
from typing import Any

import zmq.asyncio
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.connect import write_connection_file

from prune_core.errors import EngineError
from prune_core.lessons import nursery
from prune_core.settings import Settings, setting

START_S = 120.0  # importing torch from a cold disk
READY_S = 60.0
ANSWER_S = 0.5
ROOT = Path(__file__).resolve().parents[2]


class PoolSettings(Settings):
    """How many kernels there are and what each may take."""

    kernels: int = setting(2, ge=1, le=64, unit="kernels", help="Lessons that are executed at once.")
    memory: int = setting(2048, ge=256, le=1_000_000, unit="MiB", help="What one execution may take on top.")
    seconds: int = setting(120, ge=1, le=3600, unit="seconds", help="How long one execution may take.")

    @classmethod
    def of_environment(cls) -> PoolSettings:
        """From PRUNE_LAB_KERNELS, PRUNE_LAB_KERNEL_MB and PRUNE_LAB_LESSON_SECONDS, where they are set."""
        names = {"kernels": "KERNELS", "memory": "KERNEL_MB", "seconds": "LESSON_SECONDS"}
        given: dict[str, Any] = {k: v for k, n in names.items() if (v := os.environ.get(f"PRUNE_LAB_{n}"))}
        return cls(**given)


class Kernel:
    """One kernel process and the connection to it. ``dead`` is set when it has ended."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.pid = 0
        self.dead = asyncio.Event()
        self.client: AsyncKernelClient | None = None
        self.process: subprocess.Popen[bytes] | None = None  # where it was not forked

    def kill(self) -> None:
        """End it, whatever it does, and what it has started."""
        if self.pid and not self.dead.is_set():
            for kill in (os.killpg, os.kill) if hasattr(os, "killpg") and self.process is None else (os.kill,):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    kill(self.pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        if self.process is not None:
            self.process.wait()
        self.close()

    def close(self) -> None:
        """Let go of the connection and its files."""
        if self.client is not None:
            self.client.stop_channels()
            self.client = None
        shutil.rmtree(self.folder, ignore_errors=True)


class _Client(AsyncKernelClient):
    """A client that knows from the nursery whether its kernel lives, instead of from a thread with a heartbeat."""

    dead: asyncio.Event

    async def is_alive(self) -> bool:
        """Whether the process has not ended."""
        return not self.dead.is_set()


class Pool:
    """Hands out kernels that are ready. ``start`` is called by the first ``take``."""

    def __init__(self, settings: PoolSettings, *, forks: bool = nursery.FORKS) -> None:
        self.settings, self.forks = settings, forks
        self.folder = Path(tempfile.mkdtemp(prefix="prune-lab-kernels-"))
        self.started = 0  # kernels so far
        self._kernels: dict[str, Kernel] = {}
        self._pids: dict[str, asyncio.Future[int]] = {}
        self._spare: list[asyncio.Task[Kernel]] = []
        self._nursery: asyncio.subprocess.Process | None = None
        self._opening = asyncio.Lock()
        self._context: zmq.asyncio.Context | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def take(self, cwd: Path) -> Kernel:
        """A ready kernel, in ``cwd``. Raises EngineError where none starts."""
        await self._open()
        if not self._spare:
            self._breed()
        task = self._spare.pop(0)
        if not self._spare:  # otherwise the next one is begun when this one is done: it would slow this one down
            self._breed()
        kernel = await task
        if kernel.dead.is_set():  # it ended while it waited
            kernel.close()
            kernel = await self._new()
        await self._enter(kernel, cwd)
        return kernel

    def give_back(self, kernel: Kernel) -> None:
        """A kernel is used once: end it, and see to it that others are ready."""
        kernel.kill()
        self._kernels.pop(kernel.name, None)
        if not self._closed:
            self._breed()

    async def close(self) -> None:
        """End all kernels and the nursery."""
        self._closed = True
        for task in [*self._spare, *self._tasks]:
            task.cancel()
        await asyncio.gather(*self._spare, *self._tasks, return_exceptions=True)
        for kernel in list(self._kernels.values()):
            kernel.kill()
        if self._nursery is not None and self._nursery.stdin is not None:
            self._nursery.stdin.close()
            await self._nursery.wait()
        if self._context is not None:
            self._context.destroy(linger=0)
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- the nursery --------------------------------------------------------------------------------------------------
    async def _open(self) -> None:
        async with self._opening:
            if self._closed:
                raise EngineError("The kernels of this server have ended.")
            self._context = self._context or zmq.asyncio.Context()
            if not self.forks or (self._nursery is not None and self._nursery.returncode is None):
                return
            with self._log() as log:
                self._nursery = await asyncio.create_subprocess_exec(
                    sys.executable, "-P", "-m", "prune_core.lessons.nursery", str(self.folder),
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=self._environment(), cwd=self.folder,
                    start_new_session=True,  # Ctrl+C in the terminal is for the server alone
                )  # fmt: skip
            try:
                assert self._nursery.stdout is not None
                first = await asyncio.wait_for(self._nursery.stdout.readline(), START_S)
            except TimeoutError:
                self._nursery.kill()
                raise EngineError(f"No kernel for lessons started within {START_S:.0f} s.") from None
            if not first:
                raise EngineError(f"No kernel for lessons could be started: {self._last_words()}")
            self._spare = []
            self._watch(self._listen(self._nursery))

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        """Hear of kernels that were born or have ended; when the nursery ends, so have all."""
        assert process.stdout is not None
        while line := await process.stdout.readline():
            said = json.loads(line)
            if "pid" in said and (future := self._pids.pop(said["name"], None)) is not None and not future.done():
                future.set_result(said["pid"])
            if "ended" in said and (kernel := self._kernels.get(said["name"])) is not None:
                kernel.dead.set()
        for kernel in self._kernels.values():
            kernel.dead.set()
        for future in self._pids.values():
            if not future.done():
                future.set_exception(EngineError("The process that kernels come from has ended."))

    # --- kernels ------------------------------------------------------------------------------------------------------
    def _breed(self) -> None:
        """Begin as many kernels as are asked for at once."""
        while len(self._spare) < self.settings.kernels:
            self._spare.append(asyncio.ensure_future(self._new()))

    async def _new(self) -> Kernel:
        self.started += 1
        name = f"k{self.started}"
        folder = self.folder / name
        folder.mkdir()
        kernel = self._kernels[name] = Kernel(name, folder)
        try:
            address: dict[str, Any] = {"transport": "ipc", "ip": str(folder / "s")} if os.name != "nt" else {}
            key = os.urandom(32).hex().encode()
            connection, _ = write_connection_file(str(folder / "c.json"), key=key, **address)
            kernel.pid = await (self._forked(name, connection) if self.forks else self._spawned(kernel, connection))
            kernel.client = await asyncio.wait_for(self._connect(connection, kernel), READY_S)
        except BaseException as error:
            kernel.kill()
            self._kernels.pop(name, None)
            if isinstance(error, asyncio.TimeoutError):
                raise EngineError(f"A kernel did not answer within {READY_S:.0f} s. {self._last_words()}") from None
            raise
        return kernel

    async def _forked(self, name: str, connection: str) -> int:
        assert self._nursery is not None and self._nursery.stdin is not None
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._pids[name] = future
        request = {"name": name, "connection": connection, "memory": self.settings.memory}
        self._nursery.stdin.write(json.dumps(request).encode() + b"\n")
        return await asyncio.wait_for(future, READY_S)

    async def _spawned(self, kernel: Kernel, connection: str) -> int:
        with self._log() as log:
            kernel.process = nursery.spawn(
                connection, self.settings.memory, env=self._environment(), cwd=self.folder, stderr=log
            )
        self._watch(self._wait(kernel))
        return kernel.process.pid

    async def _wait(self, kernel: Kernel) -> None:
        assert kernel.process is not None
        await asyncio.to_thread(kernel.process.wait)
        kernel.dead.set()

    async def _connect(self, connection: str, kernel: Kernel) -> AsyncKernelClient:
        """Ready when an answer came, and its echo on the channel of outputs: from then on no output is missed."""
        client = _Client(connection_file=connection, context=self._context)
        client.dead = kernel.dead
        client.load_connection_file()
        client.start_channels(hb=False, stdin=False)
        client.allow_stdin = False
        answered = heard = False
        while not (answered and heard):
            if kernel.dead.is_set():
                raise EngineError(f"A kernel for lessons ended while it started. {self._last_words()}")
            asked = client.kernel_info()
            with contextlib.suppress(Empty):
                while (await client.get_shell_msg(timeout=ANSWER_S))["parent_header"].get("msg_id") != asked:
                    pass
                answered = True
                while not heard:
                    message = await client.get_iopub_msg(timeout=ANSWER_S)
                    mine = message["parent_header"].get("msg_id") == asked
                    heard = mine and message["content"].get("execution_state") == "idle"
        return client

    async def _enter(self, kernel: Kernel, cwd: Path) -> None:
        """Go where the lesson's file is, as Jupyter does."""
        assert kernel.client is not None
        asked = kernel.client.execute(f"__import__('os').chdir({str(cwd)!r})", silent=True)
        with contextlib.suppress(Empty):
            while (await kernel.client.get_shell_msg(timeout=READY_S))["parent_header"].get("msg_id") != asked:
                pass

    # --- small things -------------------------------------------------------------------------------------------------
    def _environment(self) -> dict[str, str]:
        """The server's own, one thread, figures as data, and nobody's own IPython settings."""
        paths = os.pathsep.join([str(ROOT), *(p for p in sys.path if p and p != str(ROOT))])
        from prune_core.jobs.local import ENVIRONMENT

        return {
            **os.environ,
            **ENVIRONMENT,
            "PYTHONPATH": paths,
            "PLOTLY_RENDERER": "plotly_mimetype",
            "IPYTHONDIR": str(self.folder / "ipython"),
            "JUPYTER_RUNTIME_DIR": str(self.folder / "runtime"),
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        }

    def _log(self) -> Any:
        return (self.folder / "kernels.log").open("ab")

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = (self.folder / "kernels.log").read_text(encoding="utf-8", errors="replace")[-2000:].splitlines()
            return next((line for line in reversed(lines) if line.strip()), "")
        return ""

    def _watch(self, coroutine: Any) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
