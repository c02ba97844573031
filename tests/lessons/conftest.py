"""Tests of lessons import lab_lesson_tools by its name, and share one pool of kernels."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from lab_lesson_tools import MEMORY

from prune_core.lessons import Executor, PoolSettings


@pytest.fixture(scope="session")
def executor() -> Iterator[Executor]:
    """One pool for all tests of lessons: its imports take seconds. Every execution has a kernel of its own."""
    made = Executor(PoolSettings(kernels=2, memory=MEMORY))
    yield made
    pool = made._pool
    made.close()
    source = pool._nursery if pool is not None else None
    assert source is None or source.returncode is not None, "closed, nothing is left"
