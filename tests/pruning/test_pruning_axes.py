"""Criterion, granularity, scope, schedule and regrowth compose: every pair of two axes' members meets in a run.

The members come from the registries, so that a new one is paired with all others without a line here. What does not go
together has to say so in a sentence when the experiment is built.
"""

from __future__ import annotations

from itertools import combinations, product
from typing import Any, get_args

import pytest
import torch
from torch import nn

import prune_core as pc
from prune_core.pruning import Criterion, Granularity, Regrowth, Schedule, Scope
from prune_core.training.checkpoint import load_checkpoint

STEPS = 6


class Mixed(pc.ModelSource):
    """Convolutions, attention and linear layers, so that every granularity finds something. Nobody needs to know it."""

    def _build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        return Net()


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 8, 2)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.hidden, self.last = nn.Linear(8, 12), nn.Linear(12, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.second(self.first(x).relu()).relu().flatten(2).transpose(1, 2)  # (batch, places, 8)
        return self.last(self.hidden(self.attention(x, x, x, need_weights=False)[0].mean(1)).relu())


AXES: dict[str, list[Any]] = {
    "criterion": [e.cls() for e in Criterion.registry],
    "granularity": [e.cls() for e in Granularity.registry],
    "scope": list(get_args(Scope)),
    "schedule": [e.name for e in Schedule.registry],
    "regrow": [None, *(e.cls(every=2) for e in Regrowth.registry)],
}


def pairwise() -> list[dict[str, int]]:
    """Few rows in which each two members of two axes stand together at least once: greedily, the fullest row first.

    A row is filled with what goes together, so that one pair that cannot be hides no other.
    """
    names = list(AXES)
    left = {
        ((a, i), (b, j))
        for a, b in combinations(names, 2)
        for i, j in product(range(len(AXES[a])), range(len(AXES[b])))
    }
    rows = []
    while left:
        row = dict(min(left))
        for name in (n for n in names if n not in row):
            new = [sum(pair(at, (name, k)) in left for at in row.items()) for k in range(len(AXES[name]))]
            fit = [k for k in range(len(new)) if together(row | {name: k})] or list(range(len(new)))
            row[name] = max(fit, key=new.__getitem__)
        left -= {pair(*two) for two in combinations(row.items(), 2)}
        rows.append({name: row[name] for name in names})
    return rows


def pair(a: tuple[str, int], b: tuple[str, int]) -> tuple[tuple[str, int], tuple[str, int]]:
    """In the order of the axes, whichever way round they are given."""
    return (a, b) if list(AXES).index(a[0]) < list(AXES).index(b[0]) else (b, a)


def together(row: dict[str, int]) -> bool:
    """Whether what a row has so far goes together."""
    try:
        pc.Pruning(**{name: AXES[name][i] for name, i in row.items() if name != "schedule"}).check_axes()
    except pc.ConfigError:
        return False
    return True


def schedule(name: str, final: float, criterion: Criterion) -> Schedule:
    """One that ends within a few steps, before training where the criterion wants that."""
    if criterion.before_training:
        return pc.OneShot(final=final, at=0)
    small = {"one_shot": {"at": 3}, "iterative": {"rounds": 2, "first": 2, "between": 2}}
    return Schedule.registry[name].cls(final=final, **small.get(name, {"start": 1, "stop": 4}))


def meets(row: dict[str, int]) -> pc.Experiment:
    """The experiment of a row. Raises ConfigError where its members do not go together."""
    chosen = {name: AXES[name][i] for name, i in row.items()}
    final = min(0.5, chosen["granularity"].most)
    dense = () if chosen["criterion"].can_score(nn.MultiheadAttention(2, 1)) else ("*attention.*",)
    prune = pc.Pruning(
        **{**chosen, "schedule": schedule(chosen["schedule"], final, chosen["criterion"]), "keep_dense": dense}
    )
    return pc.Experiment(
        data=pc.Digits(), model=Mixed(), prune=prune,
        train=pc.Training(steps=STEPS, batch_size=8, lr=0.01, eval_samples=1, eval_every=100, snapshot_every=100),
    )  # fmt: skip


def named(row: dict[str, int]) -> str:
    members = (AXES[name][i] for name, i in row.items())
    return "-".join(str(getattr(m, "kind", m)) for m in members)


ROWS = pairwise()


def test_every_pair_is_there():
    for a, b in combinations(AXES, 2):
        assert len({(row[a], row[b]) for row in ROWS}) == len(AXES[a]) * len(AXES[b])


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_it_runs_and_ends_at_what_was_wanted_or_says_why_it_cannot(row, tmp_path):
    try:
        exp = meets(row)
    except pc.ConfigError as error:
        assert str(error).startswith("Pruning.")
        return
    prune, path = exp.prune, tmp_path / "state.pt"
    result = pc.run(exp, progress=False, checkpoint=path)
    assert result.status == "finished"
    sizes = {n: m.numel() for n, m in result.masks.items()}
    gone = sum(int((~m).sum()) for m in result.masks.values())
    weights = dict(result.model.named_parameters())
    assert all(not weights[n][~m].any() for n, m in result.masks.items())
    groups = prune.groups(result.model)
    largest = 1
    if groups is not None and groups.at_most is None:
        largest = max(int(u.left(weights, {}).sum(1).max()) for u in groups.units)
    # exactly for single weights; each layer, or all together, within half a group of what was wanted
    rounded = 1 if prune.scope == "global" and largest == 1 else len(sizes) * (largest / 2 + 1)
    assert abs(gone - prune.schedule.final * sum(sizes.values())) <= rounded
    kept = load_checkpoint(path)
    assert all(torch.equal(kept.masks[n], m) for n, m in result.masks.items())


def test_nearly_all_pairs_are_met_by_a_run():
    working = [row for row in ROWS if together(row)]
    met = {pair(*two) for row in working for two in combinations(row.items(), 2)}
    every = {pair(*two) for row in ROWS for two in combinations(row.items(), 2)}
    assert len(met) > 0.9 * len(every)


def test_a_criterion_that_cannot_score_a_layer_says_so_when_the_experiment_is_built():
    wanda = pc.Pruning(criterion=pc.Wanda())
    with pytest.raises(pc.ConfigError, match=r"Pruning.criterion Wanda cannot score .*weight_ih_l0"):
        pc.Experiment(data=pc.Digits(), model=pc.RowLSTM(), prune=wanda)
    model = pc.TinyViT(dim=8, depth=1, heads=2)
    exp = pc.Experiment(data=pc.Digits(), model=model, prune=wanda.replace(keep_dense=("*attention.*",)))
    assert exp.prune.select(model.outline((1, 8, 8), 10))
