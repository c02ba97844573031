"""What every registered criterion keeps: a new one is held to it without a line here."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from prune_core.errors import ConfigError
from prune_core.pruning import Criterion, Magnitude, Random, prunable, prune_, sparsity_of
from prune_core.seeding import generator

ENTRIES = list(Criterion.registry)
BATCH = (torch.rand(16, 1, 8, 8), torch.arange(16) % 10)


@pytest.fixture(params=ENTRIES, ids=lambda entry: entry.name)
def criterion(request) -> Criterion:
    return request.param.cls()


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()


def scores(criterion: Criterion, model: nn.Module, seed: int = 0):
    weights = {n: w.detach() for n, w in prunable(model).items()}
    grads = {n: torch.randn(w.shape, generator=generator(1, "data")) for n, w in weights.items()}
    return criterion.score(weights, grads, generator(seed, "masks"))


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
    masks = prune_(model, sparsity, criterion, scope, batch=BATCH)
    sizes = {n: m.numel() for n, m in masks.items()}
    if scope == "layer":
        assert all(int((~m).sum()) == round(sparsity * m.numel()) for m in masks.values())
    else:
        assert sum(int((~m).sum()) for m in masks.values()) == round(sparsity * sum(sizes.values()))
    for name, p in model.named_parameters():
        q = twin.get_parameter(name)
        assert torch.equal(p, torch.where(masks[name], q, 0) if name in masks else q), name


def test_it_does_not_disturb_the_model_or_anybodys_random_numbers(criterion):
    model = network()
    keys, state = list(model.state_dict()), torch.get_rng_state()
    prune_(model, 0.5, criterion, batch=BATCH)
    assert list(model.state_dict()) == keys and not model.training
    assert torch.equal(torch.get_rng_state(), state) or "gradients" in criterion.needs
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_going_on_never_brings_a_weight_back(criterion):
    model = network()
    first = prune_(model, 0.5, criterion, batch=BATCH)
    second = prune_(model, 0.8, criterion, batch=BATCH, masks=first, seed=9)
    assert not any((second[n] & ~first[n]).any() for n in first) and sparsity_of(second) == pytest.approx(0.8, abs=1e-3)


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
        Random().score({"w": torch.ones(3)})


def test_random_is_fair():
    masks = prune_(nn.Linear(500, 400), 0.9, Random())
    # 200,000 weights, a tenth kept: of 40,000 in either half 4,000 ± 3·60 would be usual
    kept = masks["weight"].reshape(5, -1).sum(1)
    assert int(kept.sum()) == 20_000 and bool(((kept - 4000).abs() < 240).all())
