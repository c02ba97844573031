"""What clipping does and does not: direction, number of parameters, and runs that learn only with it.

    python benchmarks/clipping_facts.py [--seeds 10]

Needs MNIST's files (PRUNE_LAB_DATA) and about three minutes of one quiet core.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import statistics
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from _common import machine
from torch.nn import functional as F

import prune_core as pc
from prune_core.data import DataInfo
from prune_core.data.base import Splits

THRESHOLDS = (0.5, 0.1, 0.01, 0.001)
STEPS, LAST = 100, 30
LR = 3.0
CHANCE = math.log(10)  # the loss of ten equal guesses


class FewTests(pc.MNIST):
    """MNIST with every twentieth test image: looking at the test split would take longer than training."""

    @property
    def info(self) -> DataInfo:
        whole = super().info
        return DataInfo(whole.shape, whole.classes, whole.train, 500, whole.class_names)

    def _read(self, seed: int) -> Splits:
        whole = super()._read(seed)
        return Splits(whole.train_x, whole.train_y, whole.test_x[::20], whole.test_y[::20])


def main() -> bool:
    """Print the facts; whether they hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    args = parser.parse_args()
    torch.set_num_threads(1)
    try:
        pc.MNIST().load()
    except pc.DataMissingError as missing:
        print(f"No facts without MNIST. {missing}")
        return True
    print(machine(), "\n")
    return all([direction(), survival(args.seeds)])


def direction() -> bool:
    """Cosine between one gradient of LeNet-300-100 and what clipping makes of it."""
    x, y = pc.MNIST().load().train_batch(torch.arange(64))
    model = pc.LeNet300().build((1, 28, 28), 10, 0)
    F.cross_entropy(model(x), y).backward()
    peak = max(float(p.grad.abs().max()) for p in model.parameters())
    print(f"cosine to the gradient before; LeNet-300-100, one batch of MNIST, largest entry {peak:.3f}\n")
    print(f"| threshold | {' | '.join(map(str, THRESHOLDS))} |\n|{'---|' * (1 + len(THRESHOLDS))}")
    rows = {
        "norm": [cosine(model, pc.NormClip(max_norm=t)) for t in THRESHOLDS],
        "value": [cosine(model, pc.ValueClip(threshold=t)) for t in THRESHOLDS],
        "value, of the largest entry": [cosine(model, pc.ValueClip(threshold=t * peak)) for t in THRESHOLDS],
    }
    for name, found in rows.items():
        print(f"| {name} | {' | '.join(f'{c:.3f}' for c in found)} |")
    print(f"\n1 - cosine under norm clipping: at most {max(1 - c for c in rows['norm']):.1e}")
    return all(1 - c < 1e-9 for c in rows["norm"]) and min(rows["value"]) < 0.9


def cosine(model: torch.nn.Module, clip: pc.ClipStrategy) -> float:
    """In float64, of all entries together."""
    twin = copy.deepcopy(model)
    for p, original in zip(twin.parameters(), model.parameters(), strict=True):
        p.grad = original.grad.clone()
    before = torch.cat([p.grad.reshape(-1) for p in twin.parameters()]).double()
    clip.clip_(twin.parameters())
    after = torch.cat([p.grad.reshape(-1) for p in twin.parameters()]).double()
    return float(before @ after / before.norm() / after.norm())


def survival(seeds: int) -> bool:
    """Row LSTMs at a learning rate that is too high without clipping: in how many runs the loss ends above chance."""
    print(f"\nRow LSTM on MNIST, {STEPS} steps, learning rate {LR:g}; diverged: the last {LAST} losses above chance\n")
    print("| clipping | diverged at the default threshold | at a tenth of it |\n|---|---|---|")
    bare = [end(None, seed) for seed in range(seeds)]
    print(f"| none | {lost(bare)} | – |", flush=True)
    counts = {n for _, n in bare}
    for entry in pc.ClipStrategy.registry:
        clip = entry.cls()
        wide = [end(clip, seed) for seed in range(seeds)]
        tight = [end(clip.with_threshold(clip.threshold / 10), seed) for seed in range(seeds)]
        counts |= {n for _, n in wide + tight}
        print(f"| {entry.name} | {lost(wide)} | {lost(tight)} |", flush=True)
    fresh = pc.RowLSTM(hidden=32).build((1, 28, 28), 10, 0)
    same = counts == {sum(p.numel() for p in fresh.parameters())}
    print(f"\nNumber of parameters after every run {'the same as' if same else 'NOT the same as'} before.")
    return same


def end(clip: pc.ClipStrategy | None, seed: int) -> tuple[float, int]:
    """The mean of the last losses, infinite where a run broke off, and the number of parameters after it."""
    train = pc.Training(steps=STEPS, batch_size=32, lr=LR, seed=seed, eval_every=STEPS + 1, snapshot_every=1_000_000)
    experiment = pc.Experiment(data=FewTests(), model=pc.RowLSTM(hidden=32), clip=clip, train=train)
    result = pc.run(experiment, progress=False)
    loss = float(result.history["loss"].tail(LAST).mean()) if result.status == "finished" else math.inf
    return loss, sum(p.numel() for p in result.model.parameters())


def lost(runs: list[tuple[float, int]]) -> str:
    """How many ended above chance, and the median of the losses."""
    losses = [loss for loss, _ in runs]
    return f"{sum(not loss <= CHANCE for loss in losses)} of {len(losses)}, median loss {statistics.median(losses):.2f}"


if __name__ == "__main__":
    sys.exit(not main())
