"""The local job engine: ``python -m prune_core.jobs.engine --home FOLDER``.

A process of its own with a Dask scheduler, one train worker a core and one preview worker, all on loopback and behind
keys that only this user can read. Pages and notebooks start it when none runs, and it outlives them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import multiprocessing
import os
import signal
import sys
from pathlib import Path

import dask
import psutil
import torch
from distributed import Nanny, Security
from distributed.utils import get_mp_context
from filelock import FileLock, Timeout

from prune_core.jobs import place
from prune_core.jobs.local import ENVIRONMENT
from prune_core.jobs.quiet import QuietScheduler, QuietWorker
from prune_core.jobs.supervisor import Supervisor
from prune_core.jobs.worker import load_plugins

HOST = "127.0.0.1"
IDLE_S = 2 * 3600.0
LOCK_S = 20.0  # an engine that is just ending gets so long to let go
KEYS = (
    "tls_ca_file",
    "tls_scheduler_cert",
    "tls_scheduler_key",
    "tls_worker_cert",
    "tls_worker_key",
    "tls_client_cert",
    "tls_client_key",
)

CONFIG = {
    # a fork of a warm process is there in a blink; elsewhere than on Linux forking after torch is not safe
    "distributed.worker.multiprocessing-method": "forkserver" if sys.platform == "linux" else "spawn",
    "distributed.nanny.pre-spawn-environ": ENVIRONMENT,
    "distributed.scheduler.allowed-failures": 0,  # a run that killed its worker is never silently run again
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.worker.profile.enabled": False,  # it would take the GIL from training a hundred times a second
    "distributed.admin.tick.interval": "2s",  # 20 ms as it comes, in each of six servers: 4 % of a core for nothing
    "distributed.admin.tick.cycle": "10s",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.comm.timeouts.connect": "20s",
    "distributed.logging.distributed": "warning",
}

log = logging.getLogger("prune_core.jobs")


def resources(role: str, gpus: int) -> dict[str, float]:
    """What a worker declares: all that train share the GPUs of this machine, where there are any."""
    return {role: 1, "GPU": 1} if role == "train" and gpus else {role: 1}


async def serve(where: place.Place, store: str, workers: int, idle_s: float) -> None:
    """Run the engine until it is told to end or nobody has needed it for ``idle_s`` seconds."""
    over = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows
            asyncio.get_running_loop().add_signal_handler(name, over.set)
    security = Security.temporary()
    supervisor = Supervisor(store, idle_s=idle_s, on_idle=over.set)
    async with QuietScheduler(
        host=HOST, port=0, protocol="tls", dashboard=False, security=security, plugins=[supervisor]
    ) as scheduler:
        gpus = torch.cuda.device_count()
        roles = [(f"train-{i}", "train") for i in range(1, workers + 1)] + [("preview", "preview")]
        nannies = [
            Nanny(
                scheduler.address,
                name=name,
                host=HOST,
                nthreads=1,
                memory_limit=0,
                resources=resources(role, gpus),
                env={"CUDA_VISIBLE_DEVICES": str(i % gpus)} if gpus > 1 else None,
                preload=["prune_core.jobs.worker"],
                worker_class=QuietWorker,
                security=security,
                local_directory=str(where.home / "scratch"),
            )
            for i, (name, role) in enumerate(roles)
        ]
        try:
            await asyncio.gather(*nannies)
            where.write(
                place.EngineFile(
                    address=scheduler.address,
                    pid=os.getpid(),
                    started=psutil.Process().create_time(),
                    store=store,
                    version=place.version(),
                    changed=place.changed(),
                    plugins=place.plugins(),
                    keys={key: getattr(security, key) for key in KEYS},
                )
            )
            log.info("Ready: %s, %d train workers, process %d", scheduler.address, workers, os.getpid())
            gc.collect()
            gc.freeze()
            await over.wait()
        finally:
            where.remove(os.getpid())
            await supervisor.before_close()
            await asyncio.gather(*(nanny.close(timeout=1) for nanny in nannies), return_exceptions=True)
    log.info("The engine has ended.")


def main(arguments: list[str] | None = None) -> None:
    """The command line of ``python -m prune_core.jobs.engine``."""
    parser = argparse.ArgumentParser(prog="python -m prune_core.jobs.engine", description="The lab's job engine.")
    parser.add_argument("--home", type=Path, required=True, help="folder of the lab's files")
    parser.add_argument("--store", help="address of the live store (default: PRUNE_LAB_STORE, or lab.db in the home)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="runs at a time (default: one a core)")
    parser.add_argument("--idle", type=float, default=IDLE_S, help="seconds without anybody after which it ends")
    given = parser.parse_args(arguments)
    store = given.store or os.environ.get("PRUNE_LAB_STORE") or f"sqlite:///{given.home}/lab.db"
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("distributed").setLevel(logging.WARNING)
    load_plugins()
    where = place.Place(given.home)
    lock = FileLock(where.lock)
    try:
        lock.acquire(timeout=LOCK_S)
    except Timeout:
        log.info("Another engine runs in %s.", given.home)
        return
    with dask.config.set(CONFIG):
        if CONFIG["distributed.worker.multiprocessing-method"] == "forkserver":
            get_mp_context()  # sets a list of its own first
            multiprocessing.set_forkserver_preload(["prune_core.jobs.preload"])
        asyncio.run(serve(where, store, given.workers, given.idle))


if __name__ == "__main__":
    main()
