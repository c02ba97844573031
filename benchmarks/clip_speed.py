"""What clipping with its report costs a step: against torch's own foreach clipping, on gradients of whole models.

    python benchmarks/clip_speed.py [lenet300 resnet50 ...]

One thread. Ours is ``clip_flat_`` without values by layer, as nearly every step of a run makes it: it clips, and
measures both norms, the share of entries changed and the cosine. torch's clips and measures nothing else. Outside the
clock, before every call, both sides run once and then get the same gradient anew. A ratio of 0.91 is an overhead of
1.1. AutoClip and ZClip have nothing to clip in a gradient that is always the same: theirs is the price of watching.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import accumulate

import torch
import torchvision
from _common import machine, paired, report
from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from prune_core.clipping import ClipStrategy, FlatGradients
from prune_core.models import LeNet300

TARGETS = {"value": 1 / 1.1, "norm": 1 / 1.1}
ROUNDS = 15
SCALE = 0.01  # of the gradient's entries: at the default thresholds value and norm clipping both have something to do


def main(names: list[str]) -> bool:
    """Print the table; whether all targets are met."""
    torch.set_num_threads(1)
    print(machine(), "\nclip and report, against torch's clip alone\n")
    met = [measure(name) for name in names]
    return all(met)


def measure(name: str) -> bool:
    """All strategies on the gradients of one model with random weights."""
    model = LeNet300().build((1, 28, 28), 10, 0) if name == "lenet300" else torchvision.models.get_model(name)
    named = dict(model.named_parameters())
    parameters = tuple(named.values())
    offsets = tuple(accumulate((p.numel() for p in parameters), initial=0))
    fresh = torch.randn(offsets[-1], generator=torch.Generator().manual_seed(0)) * SCALE
    grads = FlatGradients(torch.empty_like(fresh), tuple(named), offsets, parameters)
    layers = FlatGradients(fresh, tuple(named), offsets).layers
    for p in parameters:
        p.grad = torch.empty_like(p)

    def refill() -> None:
        grads.values.copy_(fresh)
        for p, layer in zip(parameters, layers, strict=True):
            p.grad.copy_(layer.view(p.shape))

    print(f"{name}: {offsets[-1]:,} entries in {len(parameters)} layers")
    met = []
    for entry in ClipStrategy.registry:
        if entry.cls.per_sample:  # its price is that of the examples' gradients, not of clipping
            continue
        clip, peer = entry.cls(), "value" if entry.name == "value" else "norm"
        state = clip.init_state()  # goes on from round to round, as in a run

        def ours(clip: ClipStrategy = clip, state: dict = state) -> None:
            clip.clip_flat_(grads, state, layers=False)

        def theirs(peer: str = peer) -> None:
            by_torch_(peer, parameters)

        def prepare(ours: Callable = ours, theirs: Callable = theirs) -> None:
            refill(), ours(), theirs(), refill()

        ratio = paired(ours, theirs, rounds=ROUNDS, warm=15, prepare=prepare)  # ZClip watches for 25 calls
        met.append(report(f"  {entry.name}, against clip_grad_{peer}_", ratio, TARGETS.get(entry.name)))
    return all(met)


def by_torch_(peer: str, parameters: tuple[nn.Parameter, ...]) -> None:
    """The peer, at the same threshold as ours by default."""
    if peer == "value":
        clip_grad_value_(parameters, 0.01, foreach=True)
    else:
        clip_grad_norm_(parameters, 1.0, foreach=True)


if __name__ == "__main__":
    sys.exit(not main(sys.argv[1:] or ["lenet300", "resnet50"]))
