"""What several test files of jobs use."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from prune_core.jobs.place import Place


def until(condition: Callable[[], object], what: str, timeout: float = 60.0) -> None:
    """Wait for ``condition``; fails with ``what`` where it never comes."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"in {timeout:g} s it never came to this: {what}")
        time.sleep(0.02)


def engine_pid(home: Path) -> int:
    """The engine's process."""
    found = Place(home).read()
    assert found is not None, "the engine runs"
    return found.pid


def family(pid: int) -> list[psutil.Process]:
    """The engine and every process it started, directly or not."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]
