"""The same masks as torch.nn.utils.prune, which keeps a second copy of the weights, hooks and other keys."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from prune_core.pruning import Random, prunable, prune_


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 36, 64), nn.ReLU(), nn.Linear(64, 10)
    )


def torch_modules(model: nn.Module) -> dict[str, nn.Module]:
    return {n: model.get_submodule(n.removesuffix(".weight")) for n in prunable(model)}


@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.9, 0.987])
def test_global_magnitude(sparsity):
    model = network()
    theirs = torch_modules(copy.deepcopy(model))
    torch_prune.global_unstructured(
        [(m, "weight") for m in theirs.values()], torch_prune.L1Unstructured, amount=sparsity
    )
    masks = prune_(model, sparsity)
    for name, module in theirs.items():
        assert torch.equal(masks[name], module.weight_mask.bool())
        assert torch.equal(model.get_parameter(name), module.weight)


@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.9, 0.987])
def test_magnitude_layer_by_layer(sparsity):
    model = network()
    theirs = torch_modules(copy.deepcopy(model))
    masks = prune_(model, sparsity, scope="layer")
    for name, module in theirs.items():
        torch_prune.l1_unstructured(module, "weight", amount=sparsity)
        assert torch.equal(masks[name], module.weight_mask.bool())


@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.987])
def test_random_removes_as_many(sparsity):
    model = network()
    theirs = torch_modules(copy.deepcopy(model))
    masks = prune_(model, sparsity, Random(), scope="layer")
    for name, module in theirs.items():
        torch_prune.random_unstructured(module, "weight", amount=sparsity)
        assert int(masks[name].sum()) == int(module.weight_mask.sum())


def test_twice_a_half_is_a_half_of_the_whole():
    """torch's second call of 50 % removes half of what is left; ours means the whole."""
    theirs, ours = nn.Linear(100, 10), nn.Linear(100, 10)
    for _ in range(2):
        torch_prune.l1_unstructured(theirs, "weight", amount=0.5)
    assert int(theirs.weight_mask.sum()) == 250
    masks = prune_(ours, 0.5, masks=prune_(ours, 0.5))
    assert int(masks["weight"].sum()) == 500
