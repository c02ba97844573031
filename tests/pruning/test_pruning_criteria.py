"""What every registered criterion keeps: a new one is held to it without a line here."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import prune_core as pc
from prune_core.errors import ConfigError
from prune_core.formulas import PruneNumbers
from prune_core.pruning import (
    Criterion,
    Evidence,
    Magnitude,
    Random,
    Scope,
    apply_masks_,
    make_masks,
    one_batch,
    prunable,
    prune_,
    sparsity_of,
)
from prune_core.seeding import generator

ENTRIES = list(Criterion.registry)
BATCH = (torch.rand(16, 1, 8, 8), torch.arange(16) % 10)


@pytest.fixture(params=ENTRIES, ids=lambda entry: entry.name)
def criterion(request) -> Criterion:
    return request.param.cls()


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()


def evidence(model: nn.Module, seed: int = 0) -> Evidence:
    """Everything that a criterion may ask for; where training moved the weights is made up."""
    weights = {n: w.detach() for n, w in prunable(model).items()}
    moved = {n: torch.randn(w.shape, generator=generator(1, "data")) for n, w in weights.items()}
    return Evidence(weights, model=model, batches=one_batch(*BATCH), generator=generator(seed, "masks"), movement=moved)


def scores(criterion: Criterion, model: nn.Module, seed: int = 0):
    return criterion.score(evidence(model, seed))


def prune(model: nn.Module, sparsity: float, criterion: Criterion, scope: Scope = "global", seed: int = 0, masks=None):
    """``prune_``, and the same for a criterion that wants to have seen training."""
    if "training" not in criterion.needs:
        return prune_(model, sparsity, criterion, scope, batch=BATCH, seed=seed, masks=masks)
    made = make_masks(scores(criterion, model, seed), sparsity, scope, keep=masks)
    apply_masks_(dict(model.named_parameters()), made)
    return made


def test_a_score_for_every_weight(criterion):
    model = network()
    found = scores(criterion, model)
    assert {n: s.shape for n, s in found.items()} == {n: w.shape for n, w in prunable(model).items()}
    assert all(not s.isnan().any() and not s.requires_grad for s in found.values())


def test_same_seed_same_scores(criterion):
    a, b = scores(criterion, network()), scores(criterion, network())
    assert all(torch.equal(a[n], b[n]) for n in a)


@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("sparsity", [0, 0.37, 0.9])
def test_prunes_exactly_as_much_and_nothing_else(criterion, scope, sparsity):
    model, twin = network(), network()
    masks = prune(model, sparsity, criterion, scope)
    sizes = {n: m.numel() for n, m in masks.items()}
    if scope == "layer":
        assert all(int((~m).sum()) == round(sparsity * m.numel()) for m in masks.values())
    else:
        assert sum(int((~m).sum()) for m in masks.values()) == round(sparsity * sum(sizes.values()))
    for name, p in model.named_parameters():
        q = twin.get_parameter(name)
        assert torch.equal(p, torch.where(masks[name], q, 0) if name in masks else q), name


@pytest.mark.parametrize("training", [False, True])
def test_looking_leaves_no_trace(criterion, training):
    model = nn.Sequential(network(), nn.Dropout(0.5)).train(training)
    model[0][0].weight.requires_grad_(False)  # frozen layers are looked at too
    before, state = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    scores(criterion, model)
    assert list(model.state_dict()) == list(before)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())  # running statistics among them
    assert all(m.training == training for m in model.modules())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None for p in model.parameters())
    assert [p.requires_grad for p in model.parameters()] == [False, *[True] * (len(list(model.parameters())) - 1)]
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_going_on_never_brings_a_weight_back(criterion):
    model = network()
    first = prune(model, 0.5, criterion)
    second = prune(model, 0.8, criterion, masks=first, seed=9)
    assert not any((second[n] & ~first[n]).any() for n in first) and sparsity_of(second) == pytest.approx(0.8, abs=1e-3)


def test_a_short_run_ends_at_exactly_the_sparsity_wanted_and_twice_the_same(criterion):
    schedule = pc.OneShot(final=0.8, at=0) if criterion.before_training else pc.OneShot(final=0.8, at=10)
    exp = pc.Experiment(
        data=pc.Digits(), model=pc.SmallCNN(), prune=pc.Pruning(criterion=criterion, schedule=schedule),
        train=pc.Training(steps=12, batch_size=16),
    )  # fmt: skip
    first, second = pc.run(exp, progress=False), pc.run(exp, progress=False)
    total = sum(m.numel() for m in first.masks.values())
    assert sum(int((~m).sum()) for m in first.masks.values()) == round(0.8 * total)
    assert all(torch.equal(m, second.masks[n]) for n, m in first.masks.items())
    assert first.history["loss"].tolist() == second.history["loss"].tolist()


def test_it_can_be_written_down_and_read_back(criterion):
    assert Criterion.model_validate(criterion.model_dump()) == criterion


def test_people_can_read_what_it_is(criterion):
    entry = Criterion.registry[criterion.kind]
    assert entry.label and entry.formula and entry.reference and entry.summary.endswith(".")


def test_magnitude_is_the_absolute_value():
    model = network()
    found = scores(Magnitude(), model)
    assert all(torch.equal(found[n], w.detach().abs()) for n, w in prunable(model).items())
    assert len(found) == 2 and list(found) == ["0.weight", "4.weight"]


def test_random_follows_its_seed_and_needs_one():
    a, b, c = (prune_(network(), 0.5, Random(), seed=s) for s in (0, 0, 1))
    assert all(torch.equal(a[n], b[n]) for n in a) and any(not torch.equal(a[n], c[n]) for n in a)
    with pytest.raises(ConfigError, match="needs a generator"):
        Random().score(Evidence({"w": torch.ones(3)}))


def test_random_is_fair():
    masks = prune_(nn.Linear(500, 400), 0.9, Random())
    # 200,000 weights, a tenth kept: of 40,000 in either half 4,000 ± 3·60 would be usual
    kept = masks["weight"].reshape(5, -1).sum(1)
    assert int(kept.sum()) == 20_000 and bool(((kept - 4000).abs() < 240).all())


def test_its_formula_has_the_threshold_and_the_counts(criterion):
    now = PruneNumbers(1358, 13584, 0.0312)
    (mask,) = criterion.filled(now)
    assert f"{criterion.symbol} > 0.0312" in mask and now.measured[0].endswith(r"\frac{12\,226}{13\,584} = 90.0\,\%")
    assert "|w_i| > 0.0312" in criterion.filled(PruneNumbers(1, 2, 0.0312, sizes=True))[0]
    assert "s_G > 0.0312" in criterion.filled(PruneNumbers(1, 2, 0.0312, groups=True))[0]
    assert r"\text{(in fc\_1)}" in criterion.filled(PruneNumbers(1, 2, 0.0312, "in fc_1"))[0]
    assert criterion.filled(PruneNumbers(2, 2)) == () and PruneNumbers(0, 0).measured == ()
