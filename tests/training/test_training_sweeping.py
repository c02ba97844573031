"""Sweeps in this process."""

from __future__ import annotations

import pytest

import prune_core as pc
from prune_core.training import sweeping

EXP = pc.Experiment(
    data=pc.Digits(),
    model=pc.SmallCNN(width=4),
    prune=pc.Pruning(schedule=pc.OneShot(final=0.9, at=30)),
    train=pc.Training(steps=40, eval_every=10),
)
GRID = {"prune.schedule.final": [0.5, 0.9], "train.seed": range(2)}


def test_shared_training_is_done_once_a_seed_and_changes_nothing(monkeypatch):
    grown = []
    grow = sweeping.grow
    monkeypatch.setattr(sweeping, "grow", lambda trunk: grown.append(trunk) or grow(trunk))
    shared = list(pc.sweep(EXP, GRID, progress=False))
    assert [trunk.experiment.train.seed for trunk in grown] == [0, 1]
    alone = list(pc.sweep(EXP, GRID, share=False, progress=False))
    assert len(grown) == 2, "without share nothing is"
    assert [(r.digest, r.accuracy, r.loss, r.sparsity) for r in shared] == [
        (r.digest, r.accuracy, r.loss, r.sparsity) for r in alone
    ]
    assert all(a.history.equals(b.history) for a, b in zip(shared, alone, strict=True))


def test_all_are_checked_before_the_first_runs():
    with pytest.raises(pc.ConfigError, match="Combination 2 of 2"):
        pc.sweep(EXP, {"train.lr": [0.1, -1]})


def test_hopeless_members_are_stopped_early_and_say_why():
    rates = [0.1, 1e-6, 2e-6]
    found = list(pc.sweep(EXP.with_(prune=None), {"train.lr": rates}, halving=pc.Halving(min_steps=10, factor=2)))
    assert [r.status for r in found] == ["finished", "stopped", "stopped"]
    assert found[1].step == 10
    assert "successive halving" in found[1].reason


def test_a_search_runs_here_by_accuracy_but_not_by_bytes():
    space = pc.Search(vary={"train.lr": pc.Uniform(low=0.01, high=0.2)}, objectives=("accuracy",), trials=3)
    found = list(pc.sweep(EXP, space, progress=False))
    assert len({r.experiment.train.lr for r in found}) == 3
    with pytest.raises(pc.ConfigError, match=r"Lab\(\).sweep measures bytes"):
        pc.sweep(EXP, space.replace(objectives=("accuracy", "kept_bytes")))
