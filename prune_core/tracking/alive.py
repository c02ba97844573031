"""Whether the process that runs something is still there."""

from __future__ import annotations

import functools
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Process:
    """A process of some machine; the time of its start tells it from a later one of the same number."""

    machine: str
    pid: int
    started: float

    @classmethod
    def current(cls) -> Process:
        """This process."""
        return cls(machine(), os.getpid(), psutil.Process().create_time())

    @property
    def gone(self) -> bool:
        """Whether it surely does not run any more; False too where that cannot be seen from here."""
        if self.machine != machine():
            return False
        try:
            process = psutil.Process(self.pid)
            return bool(abs(process.create_time() - self.started) > 1 or process.status() == psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return True
        except psutil.Error:
            return False


@functools.cache
def machine() -> str:
    """This machine since it was started. Containers on one machine count as machines: they see other processes."""
    parts = [platform.node()]
    for path, read in (
        ("/proc/sys/kernel/random/boot_id", lambda p: p.read_text().strip()),
        ("/proc/self/ns/pid", lambda p: str(p.readlink())),
    ):
        try:
            parts.append(read(Path(path)))
        except OSError:
            parts.append("")
    return " ".join(parts)[:200]
