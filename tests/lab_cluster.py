"""A Dask cluster as docs/scale.md says to start one: its own authority, a scheduler and workers, processes each."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dask
from lab_services import HOST, free_port, leashed, listens, ready

ROOT = Path(__file__).resolve().parent.parent
RECIPES = ROOT / "docs" / "recipes"


@dataclass
class TlsCluster:
    """Its address, and what a process needs in its environment to belong to it."""

    address: str
    folder: Path
    environment: dict[str, str]
    stack: contextlib.ExitStack = field(repr=False)

    def worker(self, name: str, resources: str, script: str = "") -> None:
        """Start a worker; ``script`` is run in its process before."""
        start = f"import sys\n{script}\nfrom distributed.cli.dask_worker import main\nmain()"
        command = [sys.executable, "-c", start, self.address, "--name", name, "--resources", resources]
        command += ["--nthreads", "1", "--memory-limit", "0", "--host", HOST]
        command += ["--worker-class", "prune_core.jobs.quiet.QuietWorker"]
        # a process of a nanny's would know nothing of the script; and to import all beforehand takes its time
        command += ["--no-nanny"] if script else ["--preload", "prune_core.jobs.worker"]
        command += ["--local-directory", str(self.folder)]
        self.stack.enter_context(
            leashed(command, self.folder / f"{name}.log", "KILL", cwd=self.folder, env=self.environment)
        )

    @contextlib.contextmanager
    def joined(self, certificates: Path | None = None) -> Iterator[None]:
        """This process has the certificates, or others."""
        settings = Path(self.environment["DASK_CONFIG"])
        if certificates is not None:
            settings = write_settings(certificates)
        with dask.config.set(dask.config.merge(dask.config.config, *dask.config.collect_yaml([settings]))):
            yield


def make_certificates(folder: Path) -> None:
    """An authority of its own and one certificate of it, by the script that people use."""
    command = [RECIPES / "certificates.sh", folder, "node"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr


def write_settings(certificates: Path) -> Path:
    """Dask's settings as people take them, for certificates in another place."""
    settings = certificates / "dask.yaml"
    settings.write_text((RECIPES / "dask.yaml").read_text().replace("/etc/prune-lab", str(certificates)))
    return settings


@contextlib.contextmanager
def tls_cluster(folder: Path, **variables: str) -> Iterator[TlsCluster]:
    """A scheduler behind certificates of an authority of its own; workers are started by whoever needs them."""
    certificates = folder / "certificates"
    make_certificates(certificates)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DASK_CONFIG": str(write_settings(certificates)),
        "PRUNE_LAB_HOME": str(folder / "home"),
        **variables,
    }
    port, log = free_port(), folder / "scheduler.log"
    command = [sys.executable, "-m", "dask", "scheduler", "--protocol", "tls", "--host", HOST]
    command += ["--port", str(port), "--dashboard-address", f"{HOST}:0"]
    with contextlib.ExitStack() as stack:
        stack.enter_context(leashed(command, log, "KILL", cwd=folder, env=environment))
        ready(listens(port), log)
        yield TlsCluster(f"tls://{HOST}:{port}", folder, environment, stack)
