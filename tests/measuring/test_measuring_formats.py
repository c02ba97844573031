"""Forms of a pruned model answer alike, and timing in turns is fair."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

import prune_core as pc
from prune_core.errors import ConfigError, ModelError
from prune_core.measuring import check_alike, compare, interleaved, masked, remove_outputs, sparse

SHAPE = (1, 8, 8)
X = torch.randn(32, *SHAPE, generator=torch.Generator().manual_seed(1))


def built(model: pc.ModelSource) -> nn.Module:
    return model.build(SHAPE, 10, 0).eval()


@pytest.mark.parametrize("model", [pc.MLP(width=32), pc.MLP(width=24, activation="tanh"), pc.SmallCNN(width=8)])
def test_sparse_rows_and_removed_outputs_answer_as_the_masked_model(model):
    dense = built(model)
    before = [p.clone() for p in dense.parameters()]
    masks = pc.prune_(built(model), 0.8)
    zeroed = masked(dense, masks)
    assert check_alike(zeroed, sparse(zeroed), X, "as CSR") < 1e-5
    removed = remove_outputs(dense, SHAPE, 0.7)
    assert check_alike(removed.reference, removed.model, X, "smaller") < 1e-5
    assert removed.sparsity == pytest.approx(0.7, abs=0.06)
    assert all(torch.equal(a, b) for a, b in zip(before, dense.parameters(), strict=True)), "the model stays as it was"


def test_removed_outputs_are_the_smallest_and_the_shapes_shrink():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4, bias=False), nn.ReLU(), nn.Linear(4, 10))
    with torch.no_grad():
        model[1].weight[:] = torch.tensor([4.0, 1.0, 3.0, 2.0])[:, None]
        model[3].weight.fill_(1.0)
    made = remove_outputs(model, SHAPE, 0.5).model
    assert [tuple(p.shape) for p in made.parameters()] == [(2, 64), (10, 2), (10,)]
    assert sorted(made[1].weight[:, 0].tolist()) == [3.0, 4.0]


def test_a_form_that_answers_otherwise_is_refused():
    dense = built(pc.MLP(width=16))
    other = masked(dense, pc.prune_(built(pc.MLP(width=16)), 0.5))
    with pytest.raises(ModelError, match="answers otherwise"):
        check_alike(dense, other, X, "masked")
    with pytest.raises(ModelError, match="cannot be run"):
        check_alike(dense, nn.Linear(3, 3), X, "as a line")


@pytest.mark.parametrize(
    ("model", "why"),
    [(pc.RowLSTM(hidden=8), "recurrent"), (pc.MLP(depth=0), "no inner layer")],
    ids=["recurrent", "one layer"],
)
def test_what_cannot_lose_outputs_says_so(model, why):
    with pytest.raises(ModelError, match=why):
        remove_outputs(built(model), SHAPE, 0.5)


def test_bounds():
    with pytest.raises(ConfigError, match="greater than 0"):
        remove_outputs(built(pc.MLP()), SHAPE, 0.0)
    with pytest.raises(ConfigError, match="at least 2"):
        interleaved({"one": lambda: None})
    with pytest.raises(ModelError, match="no plain linear layers"):
        sparse(nn.Sequential(nn.Conv2d(1, 2, 3)))
    with pytest.raises(ConfigError, match="at least one example"):
        compare({"a": nn.Identity(), "b": nn.Identity()}, X[:0])


def test_turns_see_what_is_slower(monkeypatch):
    """On a clock of our own: one call takes a tick, the other three, and every second round the machine is slow."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    calls = {"one": 0, "three": 0}

    def work(name: str, ticks: int) -> None:
        calls[name] += 1
        now[0] += ticks * (1.0 if calls[name] % 2 else 5.0)

    found = interleaved({"one": lambda: work("one", 1), "three": lambda: work("three", 3)}, rounds=20, budget_s=1e9)
    assert found["one"].n == found["three"].n == 20
    assert found["three"].ratio == found["three"].ratio_low == found["three"].ratio_high == 3.0
    assert found["one"].ratio == 1.0 and found["one"].median_ms > 0
