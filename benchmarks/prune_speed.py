"""Prune a whole model once: against torch.nn.utils.prune, and against merely reading its weights.

    python benchmarks/prune_speed.py [resnet50 vit_b_16 ...]

One thread. Every call prunes a fresh copy, made outside the clock. The masks are asserted equal but for ties.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator

import torch
import torchvision
from _common import machine, paired, report
from torch import nn
from torch.nn.utils import prune as torch_prune

from prune_core.pruning import make_masks, prunable, prune_

SPARSITY = 0.9
ROUNDS, PEER_ROUNDS = 15, 3


def main(names: list[str]) -> bool:
    """Print the table; whether all targets are met."""
    torch.set_num_threads(1)
    print(machine(), f"\nprune_ to {SPARSITY:.0%}, global, magnitude\n")
    met = [measure(name) for name in names]
    return all(met)


def measure(name: str) -> bool:
    """All rows of one torchvision model with random weights."""
    model = torchvision.models.get_model(name, weights=None).eval()
    weights = {n: w.detach() for n, w in prunable(model).items()}
    print(f"{name}: {sum(w.numel() for w in weights.values()):,} weights in {len(weights)} layers")
    assert_same_masks(model)

    def fresh(rounds: int) -> Callable[[], nn.Module]:
        copies: Iterator[nn.Module] = iter([copy.deepcopy(model) for _ in range(rounds + 1)])
        return lambda: next(copies)

    rows = []
    ours, theirs = fresh(PEER_ROUNDS), fresh(PEER_ROUNDS)
    ratio = paired(lambda: prune_(ours(), SPARSITY), lambda: by_torch_(theirs()), rounds=PEER_ROUNDS)
    rows.append(report("  against torch.nn.utils.prune.global_unstructured", ratio, 30))
    for what, read, target in (
        ("|w| summed", lambda: [w.abs().sum() for w in weights.values()], 0.1),
        ("w summed, the fastest read there is", lambda: [w.sum() for w in weights.values()], None),
    ):
        ours = fresh(ROUNDS)
        ratio = paired(lambda ours=ours: prune_(ours(), SPARSITY), read, rounds=ROUNDS)
        rows.append(report(f"  against reading once ({what})", ratio, target))
    return all(rows)


def by_torch_(model: nn.Module) -> dict[str, torch.Tensor]:
    """The peer: torchvision's plain layers only, as it takes (module, "weight") pairs; attention's by its own name."""
    places = {}
    for name in prunable(model):
        path, _, leaf = name.rpartition(".")
        places[name] = (model.get_submodule(path), leaf)
    torch_prune.global_unstructured(list(places.values()), torch_prune.L1Unstructured, amount=SPARSITY)
    return {name: getattr(module, f"{leaf}_mask") for name, (module, leaf) in places.items()}


def assert_same_masks(model: nn.Module) -> None:
    """Same number removed, and only weights of exactly the threshold's size decided otherwise."""
    weights = {n: w.detach().clone() for n, w in prunable(model).items()}
    ours = prune_(copy.deepcopy(model), SPARSITY)
    theirs = {n: m.bool() for n, m in by_torch_(copy.deepcopy(model)).items()}
    threshold = max(float(weights[n][~m].abs().max()) for n, m in ours.items() if not m.all())
    assert sum(int(m.sum()) for m in ours.values()) == sum(int(m.sum()) for m in theirs.values())
    for n, m in ours.items():
        assert (weights[n].abs()[m != theirs[n]] == threshold).all(), n
    again = make_masks({n: w.abs() for n, w in weights.items()}, SPARSITY)
    assert all(torch.equal(m, again[n]) for n, m in ours.items())


if __name__ == "__main__":
    sys.exit(not main(sys.argv[1:] or ["resnet50", "vit_b_16"]))
