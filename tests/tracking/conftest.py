"""A store in an empty home, and an experiment that trains in well under a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import prune_core as pc
from prune_core.tracking import Store


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    """The default store of an empty home."""
    found = Store()
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
