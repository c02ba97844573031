"""A small experiment that trains in well under a second."""

from __future__ import annotations

import pytest

import prune_core as pc


@pytest.fixture
def experiment() -> pc.Experiment:
    """Two-dimensional, clipped, pruned in mid-run."""
    return pc.Experiment(
        data=pc.Moons(samples=400),
        model=pc.MLP(),
        clip=pc.ValueClip(threshold=0.01),
        prune=pc.Pruning(criterion=pc.Magnitude(), scope="global", schedule=pc.Cubic(final=0.8, start=10, stop=40)),
        train=pc.Training(steps=60, batch_size=32, lr=0.1, seed=3, eval_every=20, snapshot_every=20),
    )
