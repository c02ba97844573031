"""What several test files of jobs use."""

from __future__ import annotations

from pathlib import Path

import psutil
from lab_services import until

from prune_core.jobs.place import Place

__all__ = ["engine_pid", "family", "until"]


def engine_pid(home: Path) -> int:
    """The engine's process."""
    found = Place(home).read()
    assert found is not None, "the engine runs"
    return found.pid


def family(pid: int) -> list[psutil.Process]:
    """The engine and every process it started, directly or not."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]
