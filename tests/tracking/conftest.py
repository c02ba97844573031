"""A store in an empty home, and an experiment that trains in well under a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event

import prune_core as pc
from prune_core.tracking import Store

# checkpoints every 100 ms, and 3 ms more for a step: time to be killed in
SCRIPT = """
import sys, time, torch
torch.set_num_threads(1)
import prune_core as pc
from prune_core.tracking import Store, execute, executing
from prune_core.training.stream import events

def slow(*given):
    for event in events(*given, checkpoint_every_s=0.1):
        if isinstance(event, pc.StepEvent):
            time.sleep(0.003)
        yield event

executing.events = slow
sys.stdin.readline()
print(execute(Store(sys.argv[1]), sys.argv[2], "worker " + sys.argv[3]))
"""


@pytest.fixture
def slow_executor() -> str:
    """The script of a process that executes a run: its arguments are store, run, and worker's number."""
    return SCRIPT


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    """The default store of an empty home."""
    found = Store()
    yield found
    found.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, home: Path) -> str:
    """A store that is not there yet, of either kind: what stands here must hold on both."""
    if request.param == "sqlite":
        return f"sqlite:///{home}/lab.db"
    return str(request.getfixturevalue("postgres").database())


@pytest.fixture
def either(address: str) -> Iterator[Store]:
    """An empty store of either kind."""
    found = Store(address)
    yield found
    found.close()


@pytest.fixture
def experiment() -> pc.Experiment:
    """Two-dimensional, clipped, pruned in mid-run; 60 steps."""
    return pc.Experiment(
        data=pc.Moons(samples=400),
        model=pc.MLP(),
        clip=pc.ValueClip(threshold=0.01),
        prune=pc.Pruning(criterion=pc.Magnitude(), scope="global", schedule=pc.Cubic(final=0.8, start=10, stop=40)),
        train=pc.Training(steps=60, batch_size=32, lr=0.1, seed=3, eval_every=20, snapshot_every=20),
    )


@pytest.fixture
def claimed(store: Store, experiment: pc.Experiment) -> tuple[str, str]:
    """A run that is executed by this process: its id and token."""
    run_id = store.create(experiment, name="a run", owner="ann")
    assert store.claim(run_id, "token", "worker 1")
    return run_id, "token"


@pytest.fixture
def rows() -> Callable[[int, int], np.ndarray]:
    """Makes rows (n, 8) of steps ``first`` to ``last``; every value tells its step and column, exactly in float32."""

    def make(first: int, last: int) -> np.ndarray:
        steps = np.arange(first, last + 1, dtype=float)
        return np.column_stack([steps, steps[:, None] + np.arange(1, 8) / 8])

    return make


class Trouble:
    """Makes a store read-only or full, in mid-run too. SQLite itself refuses, also where root runs the tests."""

    def __init__(self, store: Store) -> None:
        self._pragmas: tuple[str, ...] = ()
        event.listen(store._database._engine, "checkout", self._checked_out)

    def read_only(self) -> None:
        self._pragmas = ("PRAGMA query_only=ON",)

    def full(self) -> None:
        self._pragmas = ("PRAGMA max_page_count=1",)  # not one page more than there are

    def over(self) -> None:
        self._pragmas = ("PRAGMA query_only=OFF", "PRAGMA max_page_count=4294967294")

    def _checked_out(self, connection: Any, *_: object) -> None:
        for pragma in self._pragmas:
            connection.execute(pragma)


@pytest.fixture
def trouble(store: Store) -> Trouble:
    """What may befall the store, from its next transaction on."""
    return Trouble(store)
