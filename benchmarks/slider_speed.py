"""Move the sparsity slider of an indexed model, against merely reading its weights once.

    python benchmarks/slider_speed.py [vit_b_16 ...]

One thread. A move is the threshold, the counts of every layer and one layer's histogram; asserted equal to real masks.
"""

from __future__ import annotations

import itertools
import sys
import time

import torch
import torchvision
from _common import machine, paired, report

from prune_core.pruning import Evidence, Magnitude, WeightIndex, make_masks, prunable

STOPS = [i / 1000 for i in range(0, 1000, 7)]


def main(names: list[str]) -> bool:
    """Print the table; whether all targets are met."""
    torch.set_num_threads(1)
    print(machine(), "\nslider: threshold + counts by layer + a histogram, no masks\n")
    met = [measure(name) for name in names]
    return all(met)


def measure(name: str) -> bool:
    """Every scope on one torchvision model with random weights."""
    weights = {n: w.detach() for n, w in prunable(torchvision.models.get_model(name, weights=None)).items()}
    began = time.perf_counter()
    index = WeightIndex(weights)
    built = time.perf_counter() - began
    print(f"{name}: {index.total:,} weights in {len(weights)} layers, indexed once in {built:.2f} s")
    rows = []
    for scope in ("global", "layer", "erk"):
        assert_same_counts(index, weights, scope)
        stops, layers = itertools.cycle(STOPS), itertools.cycle(weights)

        def move(scope=scope, stops=stops, layers=layers) -> None:
            sparsity = next(stops)
            index.thresholds_at(sparsity, scope)
            index.removed_at(sparsity, scope)
            index.histogram(next(layers))

        ratio = paired(move, lambda: [w.sum() for w in weights.values()], rounds=31, warm=3)
        rows.append(report(f"  scope {scope}, against reading once (w summed)", ratio, 1))
    return all(rows)


def assert_same_counts(index: WeightIndex, weights: dict[str, torch.Tensor], scope: str) -> None:
    """The index says what the masks are."""
    for sparsity in (0.1, 0.5, 0.9, 0.99):
        masks = make_masks(Magnitude().score(Evidence(weights)), sparsity, scope)
        assert index.removed_at(sparsity, scope) == {n: int((~m).sum()) for n, m in masks.items()}, sparsity


if __name__ == "__main__":
    sys.exit(not main(sys.argv[1:] or ["resnet50", "vit_b_16"]))
