"""The compiled loops of pruning make what torch makes, bit for bit, ties and ends of the range included."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import prune_core as pc
from prune_core.pruning import Evidence, make_masks, quick

SIZES = st.sampled_from([0, 1, 2, 623, 624, 625, 1248, 1900])  # around the length of a generator's state
VALUES = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 1e-45, 1e-30, 1e30, 3e38])  # many are equal


def plain_lamp(w: Tensor) -> Tensor:
    """The paper's definition: each square over itself and those that follow it in rising order."""
    flat = w.abs().reshape(-1)
    order = flat.argsort(stable=True)
    squares = flat[order].double().square()
    below = squares.flip(0).cumsum(0).flip(0)
    scores = torch.empty_like(squares)
    scores[order] = torch.where(below > 0, squares / below, 0.0)
    return scores.view(w.shape)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(VALUES, st.floats(-1, 1, width=32)), max_size=40))
def test_lamp_is_its_definition_with_ties_in_their_order(values):
    w = torch.tensor(values, dtype=torch.float32)
    assert torch.equal(quick.lamp(w), plain_lamp(w))


@pytest.mark.parametrize("bad", [math.nan, -math.nan, math.inf])
def test_lamp_says_of_what_is_not_finite_what_torch_says(bad):
    w = torch.tensor([[1.0, bad], [-3.0, 0.0]])
    torch.testing.assert_close(quick.lamp(w), plain_lamp(w), rtol=0, atol=0, equal_nan=True)


def test_lamp_reads_weights_as_they_lie_and_leaves_them():
    w = torch.randn(40, 30, generator=torch.Generator().manual_seed(0)).t()
    before = w.clone()
    assert torch.equal(quick.lamp(w), plain_lamp(w)) and torch.equal(w, before)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**63 - 1), st.lists(st.tuples(SIZES, st.booleans()), min_size=1, max_size=6))
def test_uniform_is_torchs_rand_and_leaves_the_generator_where_that_does(seed, draws):
    ours, theirs = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
    for n, more in draws:
        assert torch.equal(quick.uniform(torch.Size([n]), ours), torch.rand(n, generator=theirs))
        if more:  # it keeps one number of these back
            assert torch.equal(torch.randn(3, generator=ours), torch.randn(3, generator=theirs))
        assert torch.equal(ours.get_state(), theirs.get_state())


def test_a_torch_that_keeps_its_generators_otherwise_draws_itself(monkeypatch):
    assert quick._knows_torch(), "this one is known, or drawing is slow again"
    monkeypatch.setattr(quick, "USED", slice(24, 32))
    monkeypatch.setattr(quick, "_knows_torch", quick._knows_torch.__wrapped__)
    assert not quick._knows_torch()
    ours, theirs = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5)
    assert torch.equal(quick.uniform(torch.Size([7, 3]), ours), torch.rand(7, 3, generator=theirs))


@pytest.mark.parametrize("criterion", [pc.LAMP(), pc.Random()], ids=["lamp", "random"])
def test_a_criterion_removes_the_same_with_and_without_the_loops(criterion, monkeypatch):
    draw = torch.Generator().manual_seed(1)
    weights = {"a": torch.randn(50, 40, generator=draw).mul(4).round(), "b": torch.randn(700, generator=draw)}
    made = []
    for worth in (0, 10**9):
        monkeypatch.setattr(quick, "WORTH", worth)
        for loop in ("lamp", "uniform"):  # the first way must take them, the second must not
            real = getattr(quick, loop)
            monkeypatch.setattr(quick, loop, lambda *args, real=real: made.append("loop") or real(*args))
        made.append(make_masks(criterion.score(Evidence(weights, generator=torch.Generator().manual_seed(2))), 0.7))
    masks = [m for m in made if m != "loop"]
    assert made.count("loop") == 2, "a loop for each layer, and none without"
    assert all(torch.equal(masks[0][name], masks[1][name]) for name in weights)


def test_the_loops_take_what_they_are_made_for_and_only_where_it_pays():
    one = torch.zeros(()).expand(quick.WORTH)
    assert quick.pays({"w": one}) and not quick.pays({"w": one[1:]})
    assert not quick.pays({"w": one, "v": torch.zeros(3).double()}) and not quick.pays({"w": one.to("meta")})
