"""Training that runs have in common, done once: each still gives bitwise what it gives alone."""

from __future__ import annotations

import pytest
import torch

import prune_core as pc
from prune_core.sweeping import Trunk, trunk_of
from prune_core.training import Result
from prune_core.training.branching import branch_, grow
from prune_core.training.control import Control
from prune_core.training.run import result_of
from prune_core.training.state import RunState
from prune_core.training.stream import events

STEPS = 60


def experiment(prune: pc.Pruning | None, **train: object) -> pc.Experiment:
    settings = {"steps": STEPS, "eval_every": 20, "snapshot_every": 30, **train}
    return pc.Experiment(
        data=pc.Digits(), model=pc.SmallCNN(width=4), clip=pc.AutoClip(), prune=prune, train=pc.Training(**settings)
    )


PRUNINGS = {
    "cubic": pc.Pruning(schedule=pc.Cubic(final=0.8, start=30, stop=50)),
    "one shot": pc.Pruning(schedule=pc.OneShot(final=0.8, at=40), criterion=pc.Taylor()),
    "random": pc.Pruning(schedule=pc.OneShot(final=0.5, at=40), criterion=pc.Random(), scope="layer"),
    "rounds, back to early weights": pc.Pruning(
        schedule=pc.Iterative(final=0.8, rounds=2, first=35, between=10), rewind="weights", rewind_to=25
    ),
    "back to the start": pc.Pruning(
        schedule=pc.Iterative(final=0.8, rounds=2, first=35, between=10), rewind="weights", rewind_to=0
    ),
    "rigl": pc.Pruning(schedule=pc.OneShot(final=0.8, at=30), regrow=pc.RigL(every=10)),
    "straight-through": pc.Pruning(schedule=pc.Cubic(final=0.8, start=30, stop=50), regrow=pc.StraightThrough()),
    "distilled": pc.Pruning(schedule=pc.OneShot(final=0.8, at=30), distill=pc.Distillation()),
    "filters": pc.Pruning(schedule=pc.OneShot(final=0.5, at=30), granularity=pc.Filters(), scope="layer"),
    "sensitivity": pc.Pruning(schedule=pc.OneShot(final=0.5, at=30), scope="sensitivity"),
}


def branched(exp: pc.Experiment, trunk: Trunk) -> Result:
    state = RunState(exp)
    branch_(state, grow(trunk), trunk)
    assert state.step == trunk.steps
    for _ in events(state, Control()):
        pass
    return result_of(state)


@pytest.mark.parametrize("name", PRUNINGS)
def test_a_branch_is_bitwise_the_run_itself(name: str) -> None:
    exp = experiment(PRUNINGS[name], optimizer="adam", lr=0.01)
    trunk = trunk_of(exp)
    assert trunk is not None
    assert trunk.experiment.prune is None
    alone, shared = pc.run(exp, progress=False), branched(exp, trunk)
    assert alone.history.equals(shared.history)
    assert (alone.accuracy, alone.loss, alone.digest) == (shared.accuracy, shared.loss, shared.digest)
    for key, value in alone.model.state_dict().items():
        assert torch.equal(value, shared.model.state_dict()[key]), key
    for key, mask in alone.masks.items():
        assert torch.equal(mask, shared.masks[key]), key
    assert alone.sparsity > 0.4


@pytest.mark.parametrize(
    ("prune", "steps"),
    [
        (None, None),  # nothing to branch for
        (pc.Pruning(schedule=pc.OneShot(final=0.8, at=0)), None),
        (pc.Pruning(schedule=pc.OneShot(final=0.8, at=40)), 39),
        (pc.Pruning(schedule=pc.OneShot(final=0.0, at=40)), None),  # removes nothing, ever
        (pc.Pruning(schedule=pc.Cubic(final=0.8, start=30, stop=50)), 30),  # at its start the cubic is at 0 still
        (pc.Pruning(schedule=pc.Cubic(final=0.8, start=10, stop=50)), None),  # too short to be worth it
        (pc.Pruning(criterion=pc.Movement(), schedule=pc.OneShot(final=0.8, at=40)), None),  # looks at all training
        (PRUNINGS["rounds, back to early weights"], 24),
    ],
)
def test_where_a_run_branches(prune: pc.Pruning | None, steps: int | None) -> None:
    trunk = trunk_of(experiment(prune))
    assert (trunk.steps if trunk else None) == steps


def test_a_checkpoint_of_other_training_is_refused() -> None:
    exp = experiment(PRUNINGS["one shot"])
    trunk = trunk_of(exp)
    assert trunk is not None
    other = Trunk(trunk.experiment.with_(**{"train.seed": 1}), trunk.steps)
    with pytest.raises(pc.CheckpointError, match="Shared training"):
        branch_(RunState(exp), grow(other), trunk)
