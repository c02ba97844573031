"""Groups of weights: cut as torch cuts them, counted exactly, gone as wholes, and never back."""

from __future__ import annotations

import copy
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune as torch_prune

import prune_core as pc
from prune_core.pruning import (
    Granularity,
    GroupIndex,
    L2Norm,
    LossCurve,
    Magnitude,
    Random,
    Scope,
    Taylor,
    WeightIndex,
    make_masks,
    prunable,
    prune_,
    sparsity_of,
)
from prune_core.pruning.granularity.groups import pick

GROUPED = [e.cls for e in Granularity.registry if e.name != "weights"]
WHOLE = [cls for cls in GROUPED if cls().at_most is None]


class Mixed(nn.Module):
    """Convolutions, linear layers and attention, so that every granularity finds something."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first, self.second = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 12, 2)
        self.attention = nn.MultiheadAttention(12, 3, batch_first=True)
        self.hidden, self.last = nn.Linear(12, 20), nn.Linear(20, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.second(self.first(x).relu()).relu().flatten(2).transpose(1, 2)  # (batch, places, 12)
        x = self.attention(x, x, x, need_weights=False)[0].mean(1)
        return self.last(self.hidden(x).relu())


BATCH = (torch.rand(16, 1, 8, 8), torch.arange(16) % 10)


def cut(granularity: Granularity, model: nn.Module):
    weights = {n: w.detach() for n, w in prunable(model).items()}
    groups = granularity.groups(model, weights)
    return groups, {n: weights[n] for n in groups.names}


# --- as torch cuts ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("amount", [0.1, 0.3, 0.5, 0.75, 0.9])
@pytest.mark.parametrize(("criterion", "order"), [(Magnitude(), 1), (L2Norm(), 2)])
@pytest.mark.parametrize(
    ("granularity", "layers", "dim"),
    [(pc.Filters(), ("first", "second"), 0), (pc.Channels(), ("second",), 1), (pc.Neurons(), ("hidden",), 0)],
)
def test_whole_rows_go_as_ln_structured_takes_them(granularity, layers, dim, criterion, order, amount):
    model = Mixed()
    masks = prune_(copy.deepcopy(model), amount, criterion, "layer", granularity=granularity)
    for name in layers:
        layer = copy.deepcopy(getattr(model, name))
        torch_prune.ln_structured(layer, "weight", amount, n=order, dim=dim)
        assert torch.equal(masks[f"{name}.weight"], layer.weight_mask.bool())


def test_as_many_random_filters_go_as_torch_takes():
    layer = nn.Conv2d(3, 25, 3)
    masks = prune_(nn.Sequential(layer, nn.Linear(2, 2)), 0.5, Random(), "layer", granularity=pc.Filters())
    torch_prune.random_structured(layer, "weight", 0.5, dim=0)
    kept = masks["0.weight"].flatten(1)
    assert bool((kept.all(1) | ~kept.any(1)).all())
    assert int(kept.any(1).sum()) == int(layer.weight_mask.flatten(1).any(1).sum()) == 13  # 12.5 go: the even number


# --- N of M -----------------------------------------------------------------------------------------------------------
@given(n=st.integers(1, 3), more=st.integers(1, 3), share=st.floats(0, 1), seed=st.integers(0, 99), layer=st.booleans())
def test_n_of_m_keeps_at_least_n_and_counts_exactly(n, more, share, seed, layer):
    granularity = pc.NofM(n=n, m=n + more)
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3 * (n + more), 5), nn.Linear(2 * (n + more), 7))
    groups, weights = cut(granularity, model)
    sparsity = share * granularity.most
    masks = make_masks(
        {k: w.abs() for k, w in weights.items()}, sparsity, "layer" if layer else "global", groups=groups
    )
    for unit in groups.units:
        assert int(unit.table(masks).sum(1).min()) >= n
    gone, sizes = {k: int((~m).sum()) for k, m in masks.items()}, {k: w.numel() for k, w in weights.items()}
    wanted = sum(round(sparsity * s) for s in sizes.values()) if layer else round(sparsity * sum(sizes.values()))
    assert sum(gone.values()) == wanted


def test_two_of_four_keeps_the_two_largest_of_every_four_inputs():
    weight = torch.tensor([[4.0, -3, 2, 1, -5, 6, 7, -8]])
    model = nn.Linear(8, 1, bias=False)
    model.weight.data = weight.clone()
    prune_(model, 0.5, granularity=pc.NofM())
    assert model.weight.tolist() == [[4, -3, 0, 0, 0, 0, 7, -8]]
    conv = nn.Conv2d(8, 2, 3)
    mask = prune_(conv, 0.5, granularity=pc.NofM())["weight"]  # (2, 8, 3, 3): along the 8 channels at each place
    assert bool((mask.view(2, 2, 4, 3, 3).sum(2) == 2).all())


def test_below_its_limit_the_lowest_of_those_that_may_go_have_gone():
    model = nn.Linear(8, 1, bias=False)
    model.weight.data = torch.tensor([[8.0, 7, 6, 5, 1, 2, 3, 4]])
    mask = prune_(model, 0.375, granularity=pc.NofM())["weight"]  # three of eight; 3 may not go, 1 and 2 have
    assert mask.tolist() == [[True, True, True, False, False, False, True, True]]


def test_more_than_n_of_m_allows_is_an_error():
    with pytest.raises(pc.ConfigError, match=r"at most 0.5 with this granularity, got 0.6"):
        prune_(nn.Linear(8, 4), 0.6, granularity=pc.NofM())
    with pytest.raises(pc.ConfigError, match=r"NofM.n must be less than m \(4\), got 4"):
        pc.NofM(n=4)


# --- blocks, heads ----------------------------------------------------------------------------------------------------
def test_blocks_by_hand_those_at_the_edge_are_smaller():
    model = nn.Linear(3, 3, bias=False)
    model.weight.data = torch.tensor([[9.0, 9, 1], [9, 9, 1], [4, 4, 5]])
    # 2×2 blocks: mean 9 (4 weights), 1 (2 weights), 4 (2), 5 (1); a third of nine is three: 1 goes (2 weights), and
    # then 4 (4 weights); 2 and 4 are equally near to 3, and the even number of blocks is 2
    mask = prune_(model, 1 / 3, granularity=pc.Blocks(rows=2, columns=2))["weight"]
    assert mask.int().tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]


def test_a_head_goes_with_all_that_belongs_to_it():
    model = Mixed()
    attention, twin = model.attention, copy.deepcopy(model.attention)
    with torch.no_grad():  # the second head of three has the smallest weights
        for part in range(3):
            attention.in_proj_weight[12 * part + 4 : 12 * part + 8] *= 0.01
        attention.out_proj.weight[:, 4:8] *= 0.01
        twin.load_state_dict(attention.state_dict())
    masks = prune_(model, 1 / 3, granularity=pc.Heads())
    assert sum(int((~m).sum()) for m in masks.values()) == (3 * 4 * 12 + 12 * 4)
    assert bool((attention.in_proj_weight.view(3, 3, 4, 12)[:, 1] == 0).all())
    assert bool((attention.out_proj.weight[:, 4:8] == 0).all())
    # what it passes on is what the other two heads pass on
    x = torch.randn(2, 5, 12)
    with torch.no_grad():
        twin.out_proj.weight[:, 4:8] = 0
        assert torch.allclose(attention(x, x, x)[0], twin(x, x, x)[0], atol=1e-6)


# --- for all ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("scope", ["global", "layer", "erk"])
@pytest.mark.parametrize("cls", WHOLE, ids=lambda c: c.kind)
def test_groups_go_as_wholes_and_as_many_as_come_nearest(cls, scope):
    model = Mixed()
    granularity = cls()
    groups, weights = cut(granularity, model)
    total = sum(w.numel() for w in weights.values())
    for sparsity in (0.0, 0.2, 0.55, 0.9):
        masks = prune_(copy.deepcopy(model), sparsity, scope=scope, granularity=granularity)
        assert list(masks) == list(groups.names)
        largest = 0
        for unit in groups.units:
            kept, size = unit.left(weights, masks).sum(1), unit.left(weights, {}).sum(1)
            assert bool(((kept == 0) | (kept == size)).all())
            largest = max(largest, int(size.max()))
        off = abs(sum(int((~m).sum()) for m in masks.values()) - round(sparsity * total))
        # a layer for itself is off by half a group at most, and by one more weight for rounding its share
        assert off <= (largest / 2 if scope == "global" else len(groups.units) * (largest / 2 + 1))


@pytest.mark.parametrize("cls", GROUPED, ids=lambda c: c.kind)
def test_going_on_never_brings_a_weight_back_even_after_single_weights_have_gone(cls):
    model, granularity = Mixed(), cls()
    _, weights = cut(granularity, model)
    single = {n: torch.rand(w.shape, generator=torch.Generator().manual_seed(3)) > 0.2 for n, w in weights.items()}
    first = prune_(model, min(0.3, granularity.most), granularity=granularity, masks=single)
    second = prune_(model, min(0.6, granularity.most), granularity=granularity, masks=first)
    assert all(not (first[n] & ~single[n]).any() and not (second[n] & ~first[n]).any() for n in second)
    assert sparsity_of(second) >= sparsity_of(first) > 0.19


@pytest.mark.parametrize("scope", get_args(Scope))
@pytest.mark.parametrize("cls", WHOLE, ids=lambda c: c.kind)
def test_the_index_says_what_the_masks_do(cls, scope):
    model = Mixed()
    groups, weights = cut(cls(), model)
    keep = {next(iter(weights)): torch.rand(next(iter(weights.values())).shape) > 0.1}
    scores = groups.scores({n: w.abs() for n, w in weights.items()}, keep, Magnitude().of_groups)
    curves = {}
    for i, unit in enumerate(groups.units):
        size = sum(weights[name].numel() for name in unit.names)
        curves[unit.names[0]] = LossCurve((0, size // 2, size), (0.0, 0.1 * i, 1.0 + i % 2))
    index = GroupIndex(weights, scores, keep, groups, curves)
    for sparsity in (0.0, 0.05, 0.31, 0.5, 0.77, 0.99):
        masks = make_masks(scores, sparsity, scope, keep=keep, groups=groups, curves=curves)
        removed = index.removed_at(sparsity, scope)
        assert {n: int((~m).sum()) for n, m in masks.items()} == {n: removed[n] for n in masks}
    if scope == "global":
        for sparsity in (0.3, 0.8):
            realised = sum(index.removed_at(sparsity).values()) / index.total
            threshold = next(iter(index.thresholds_at(sparsity).values()))
            assert index.sparsity_for(threshold, "global", "") == pytest.approx(realised)
        assert index.sparsity_for(index.largest(), "global", "") == 1
    else:  # the layer looked at gives up what it gave up, and the others follow
        for sparsity in (0.3, 0.8):
            removed, thresholds = index.removed_at(sparsity, scope), index.thresholds_at(sparsity, scope)
            for layer, threshold in thresholds.items():
                if threshold > float("-inf"):
                    back = min(index.sparsity_for(threshold, scope, layer), 0.999999)
                    assert index.removed_at(back, scope)[layer] == removed[layer]


def test_the_index_of_single_weights_answers_for_n_of_m():
    groups, weights = cut(pc.NofM(), Mixed())
    scores, free = groups.protect({n: w.abs() for n, w in weights.items()}, {})
    index = WeightIndex(weights, scores)
    assert free == index.total // 2 and index.largest() == max(float(s[s.isfinite()].max()) for s in scores.values())
    for sparsity in (0.1, 0.37, 0.5):
        masks = make_masks({n: w.abs() for n, w in weights.items()}, sparsity, groups=groups)
        assert {n: int((~m).sum()) for n, m in masks.items()} == index.removed_at(sparsity)


@given(st.lists(st.tuples(st.floats(-1, 1), st.integers(0, 9)), min_size=1, max_size=30), st.integers(0, 200))
def test_picking_takes_the_lowest_and_comes_nearest(given_groups, remove):
    score = torch.tensor([s for s, _ in given_groups], dtype=torch.float64)
    left = torch.tensor([n for _, n in given_groups])
    stay = pick(score, left, remove)
    there = left > 0
    gone = there & ~stay
    if bool(gone.any()) and bool(stay.any()):
        assert float(score[gone].max()) <= float(score[stay].min())
    order = [i for i in score.argsort(stable=True).tolist() if there[i]]
    sums = [sum(int(left[i]) for i in order[:k]) for k in range(len(order) + 1)]
    assert abs(int(left[gone].sum()) - remove) == min(abs(s - remove) for s in sums)


# --- scores of groups -------------------------------------------------------------------------------------------------
def test_taylor_of_a_group_is_the_square_of_what_the_loss_would_do():
    # one neuron with w = (1, 2) and gradient (2, -1): its weights cancel out, 1·2 + 2·(-1) = 0, so that the group goes
    # first although |w·g| of each weight is 2; the other has w = (1, 1), gradient (1, 0.5): (1 + 0.5)² = 2.25
    found = Taylor().of_groups(torch.tensor([[2.0, -2.0], [1.0, 0.5]]), torch.ones(2, 2, dtype=torch.bool))
    assert found.tolist() == [0.0, 2.25]
    half = Taylor().of_groups(torch.tensor([[2.0, -2.0]]), torch.tensor([[True, False]]))
    assert half.tolist() == [4.0]


def test_the_mean_counts_what_is_there():
    scores, there = torch.tensor([[1.0, 3.0, 8.0], [5.0, 5.0, 5.0]]), torch.tensor([[True, True, False], [False] * 3])
    assert Magnitude().of_groups(scores, there).tolist() == [2.0, 0.0]
    assert L2Norm().of_groups(scores.square(), there).tolist() == [pytest.approx(5**0.5), 0.0]  # (1 + 9) / 2


def test_l2_norm_of_single_weights_is_magnitude():
    a, b = Mixed(), Mixed()
    first, second = prune_(a, 0.7, L2Norm()), prune_(b, 0.7, Magnitude())
    assert all(torch.equal(first[n], second[n]) for n in first)


def test_random_groups_of_any_size_have_the_same_chance():
    model = nn.Sequential(nn.Linear(1000, 200), nn.Linear(2, 200), nn.Linear(2, 2))
    groups, weights = cut(pc.Neurons(), model)
    score = groups.scores(
        {n: torch.rand(w.shape, generator=torch.Generator().manual_seed(1)) for n, w in weights.items()}, {},
        Random().of_groups,
    )  # fmt: skip
    spreads = [float(s[:, 0].std()) for s in score.values()]
    assert all(0.25 < s < 0.33 for s in spreads)  # uniform: 0.289; the mean of 1,000 would have 0.009


# --- in runs ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("cls", GROUPED, ids=lambda c: c.kind)
def test_a_run_with_groups_ends_at_whole_groups_and_twice_the_same(cls):
    model = pc.TinyViT(dim=16, depth=1, heads=4) if cls is pc.Heads else pc.SmallCNN()
    exp = pc.Experiment(
        data=pc.Digits(), model=model,
        prune=pc.Pruning(granularity=cls(), schedule=pc.Cubic(final=0.5, start=2, stop=8, every=2)),
        train=pc.Training(steps=10, batch_size=16, optimizer="adam", lr=0.001, weight_decay=0.01),
    )  # fmt: skip
    first, second = pc.run(exp, progress=False), pc.run(exp, progress=False)
    groups, weights = cut(cls(), first.model)
    for unit in groups.units:
        kept, size = unit.left(weights, first.masks).sum(1), unit.left(weights, {}).sum(1)
        assert bool(((kept == 0) | (kept == size)).all()) or (cls is pc.NofM and int(kept.min()) >= 2)
    assert all(bool((weights[n][~m] == 0).all()) for n, m in first.masks.items())
    assert first.sparsity == pytest.approx(0.5, abs=0.02)
    assert all(torch.equal(m, second.masks[n]) for n, m in first.masks.items())
    assert first.history["loss"].tolist() == second.history["loss"].tolist()
    assert pc.Experiment.from_json(exp.to_json()) == exp


def test_a_schedule_that_comes_no_nearer_says_nothing():
    exp = pc.Experiment(
        data=pc.Digits(), model=pc.SmallCNN(),
        prune=pc.Pruning(granularity=pc.Filters(), schedule=pc.Linear(final=0.5, start=1, stop=12)),
        train=pc.Training(steps=12, batch_size=16),
    )  # fmt: skip
    said = [e.sparsity for e in pc.stream(exp) if type(e).__name__ == "MaskEvent"]
    assert len(said) == len(set(said)) > 3 and said == sorted(said)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"granularity": pc.Heads()}, r"Heads finds nothing to remove in this model: it needs nn.MultiheadAttention"),
        (
            {"granularity": pc.NofM(), "schedule": pc.OneShot(final=0.6)},
            r"Pruning.schedule must end at a sparsity of at most 0.5 with NofM, got 0.6",
        ),
        (
            {"granularity": pc.NofM(), "scope": "erk", "schedule": pc.OneShot(final=0.5)},
            r"Pruning.scope must be 'global' or 'layer' with NofM.*got 'erk'",
        ),
        (
            {"granularity": pc.Filters(), "criterion": pc.Wanda()},
            r"must not remove whole outputs with Wanda.*got Filters",
        ),
        ({"granularity": pc.Blocks(), "regrow": pc.SET()}, r"Pruning.granularity must be Weights with SET.*got Blocks"),
        (
            {
                "granularity": pc.NofM(),
                "scope": "layer",
                "schedule": pc.OneShot(final=0.5),
                "layer_sparsity": ("7*=0.7",),
            },
            r"Pruning.layer_sparsity must be at most 0.5 with NofM, got 0.7",
        ),
        ({"keep_dense": ("fc9",)}, r"Pruning.keep_dense names 'fc9'"),
    ],
)
def test_what_does_not_go_together_is_said_when_the_experiment_is_built(settings, sentence):
    with pytest.raises(pc.ConfigError, match=sentence):
        pc.Experiment(data=pc.Digits(), model=pc.SmallCNN(), prune=pc.Pruning(**settings))


def test_a_target_beyond_the_limit_is_refused_in_mid_run():
    prune = pc.Pruning(granularity=pc.NofM(), schedule=pc.OneShot(final=0.5, at=1))
    exp = pc.Experiment(data=pc.Digits(), model=pc.SmallCNN(), prune=prune)
    with pytest.raises(pc.ConfigError, match=r"at most 0.5 with NofM, got 0.7"):
        pc.run(exp, progress=False, interventions=[pc.InterventionEvent(2, "sparsity", 0.7, "")])


def test_a_run_names_what_stays_dense_and_says_nothing_before_a_group_goes():
    exp = pc.Experiment(
        data=pc.Digits(), model=pc.SmallCNN(),
        prune=pc.Pruning(granularity=pc.Filters(), schedule=pc.Linear(final=0.02, start=1, stop=12)),
        train=pc.Training(steps=12, batch_size=16),
    )  # fmt: skip
    first, *rest = pc.stream(exp)
    assert first.message.startswith("Not cut into the groups that are removed, so dense: 7.weight, 9.weight")
    said = [e for e in rest if type(e).__name__ == "MaskEvent"]
    assert said and all(e.sparsity > 0 for e in said)  # a filter of the first layer is 9 of 4,752 weights, 0.19 %
    assert said[0].step > 1


def test_layers_that_cannot_be_cut_stay_dense_and_are_named():
    model = Mixed()
    groups, _ = cut(pc.Filters(), model)
    assert groups.names == ("first.weight", "second.weight")
    assert groups.dense == ("attention.in_proj_weight", "attention.out_proj.weight", "hidden.weight", "last.weight")
    whole, _ = cut(pc.Neurons(), model)
    assert "last.weight" in whole.dense  # its neurons are the classes
