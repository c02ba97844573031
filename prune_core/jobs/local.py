"""Find the local engine, or start it as a process of its own that outlives whoever started it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
from distributed import Client, Security
from filelock import FileLock, Timeout

from prune_core.errors import EngineError
from prune_core.jobs import place
from prune_core.jobs.place import EngineFile, Place
from prune_core.tracking import without_password

START_S = 120.0  # a slow disk and a cold cache: importing torch alone may take half a minute
CONNECT_S = 10.0
END_S = 10.0
LOG_BYTES = 5_000_000  # a longer log is begun anew

ENVIRONMENT = {
    # Dask would set the first to 64 KiB, and every step of torch would return memory to the system and ask for it again
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""What must stand in the environment before the engine starts: malloc and OpenMP read it once."""


def find_or_start(where: Place, store: str, workers: int) -> EngineFile:
    """The engine of ``where``, started if there is none; an idle one that is out of date is replaced.

    Raises EngineError where it works for another store, is busy with another version's runs, or does not start.
    """
    engine = where.read()
    if engine is None or not engine.current:
        engine = _start(where, store, workers, engine)
    if engine.store != store:
        raise EngineError(
            f"The engine in {where.home} works for the store {without_password(engine.store)}, not for "
            f"{without_password(store)}; "
            "give this Lab a home of its own (home=...)."
        )
    return engine


def connect(engine: EngineFile) -> Client:
    """A connection to a running engine. Raises OSError or TimeoutError."""
    return Client(engine.address, security=Security(**engine.keys), timeout=CONNECT_S, set_as_default=False)


def ask(client: Client, what: str) -> dict[str, Any]:
    """A question for the supervisor: ``wake`` or ``status``."""
    assert client.scheduler is not None, "a connected client has one"
    answer: dict[str, Any] = client.sync(client.scheduler.prune_lab, ask=what)
    return answer


def end(engine: EngineFile) -> None:
    """Ask the engine's process to end; what of it and its workers is left after some seconds is killed."""
    try:
        process = psutil.Process(engine.pid)
        family = [process, *process.children(recursive=True)]
        process.terminate()
    except psutil.NoSuchProcess:
        return
    _, left = psutil.wait_procs(family, timeout=END_S)
    for one in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(left, timeout=END_S)


def _start(where: Place, store: str, workers: int, old: EngineFile | None) -> EngineFile:
    where.home.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(where.starting, timeout=START_S):
            found = where.read()
            if found is not None and (old is None or found.pid != old.pid):
                return found  # somebody else was faster
            if found is not None:
                if not _idle(found):
                    if found.version == place.version():
                        return found  # only sources or plug-ins differ: not worth a run in progress
                    raise EngineError(
                        f"The engine that runs has {found.version}, this is {place.version()}; "
                        "wait until its runs have ended, or stop them."
                    )
                end(found)
            return _spawn(where, store, workers)
    except Timeout:
        raise EngineError(f"Another process has been starting the engine for {START_S:.0f} s: {where.log}.") from None


def _idle(engine: EngineFile) -> bool:
    """Whether nothing runs on ``engine``; one that does not answer counts as idle, for it does nobody any good."""
    try:
        with connect(engine) as client:
            return not ask(client, "status")["active"]
    except (OSError, TimeoutError):
        return True


def _spawn(where: Place, store: str, workers: int) -> EngineFile:
    home = str(where.home.resolve())
    root = str(Path(place.__file__).parents[2])
    paths = os.pathsep.join([root, *(p for p in sys.path if p and p != root)])
    environment = {**os.environ, **ENVIRONMENT, "PRUNE_LAB_HOME": home, "PYTHONPATH": paths}
    environment["PRUNE_LAB_STORE"] = (
        store  # not among the arguments: those are for all to see, and it may hold a password
    )
    # -P: this folder's modules must not hide others
    command = [sys.executable, "-P", str(Path(place.__file__).with_name("start.py")), "--home", home]
    command += ["--workers", str(workers)]
    detached: dict[str, Any] = {"start_new_session": True}
    if os.name == "nt":
        detached = {"creationflags": 0x00000008 | 0x00000200}  # DETACHED_PROCESS, CREATE_NEW_PROCESS_GROUP
    mode = "wb" if where.log.exists() and where.log.stat().st_size > LOG_BYTES else "ab"
    with where.log.open(mode) as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=home, env=environment, **detached
        )
    # whoever starts a process must wait for it, or it stays as a zombie when it ends
    threading.Thread(target=process.wait, name="engine-wait", daemon=True).start()
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if (engine := where.read()) is not None:
            return engine
        if process.poll():
            raise EngineError(f"The engine ended while starting: {where.last_words()} The whole log is {where.log}.")
        time.sleep(0.02)
    process.kill()
    raise EngineError(f"The engine did not start within {START_S:.0f} s; its log is {where.log}.")
