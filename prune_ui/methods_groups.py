"""The pictures of granularities: which weights of two small layers go together."""

from __future__ import annotations

import torch
from torch import nn

from prune_core.errors import ConfigError
from prune_core.figures.words import percent
from prune_core.pruning import Granularity, prunable, prune_
from prune_core.seeding import generator
from prune_ui.methods_svg import Picture, matrices, svg

SHARE = 0.5  # removed
SHAPES = ("linear", "convolution", "attention")  # of small models, tried in this order


def granularity_picture(granularity: Granularity) -> Picture:
    """What goes and what stays in the first small model in which there is something to remove."""
    share = min(SHARE, granularity.most)
    model = next((m for m in map(_small, SHAPES) if _cuts(granularity, m)), _small("linear"))
    before = {n: w.detach().clone() for n, w in prunable(model).items()}
    masks = prune_(model, share, granularity=granularity)
    weights = {n: before[n].flatten(1) for n in list(masks)[:2]}
    kept = {n: masks[n].flatten(1).float() for n in weights}
    left = ", ".join(f"{int(m.sum())} of {m.numel()}" for m in kept.values())
    many = "Two layers" if len(weights) == 2 else "A layer"
    words = f"{many}, pruned by magnitude to {percent(share, 0)}: an empty frame is gone; {left} are left."
    return Picture(svg(matrices(weights, kept)), words)


def _small(kind: str) -> nn.Module:
    """A model of two layers in which some granularity finds its groups."""
    draw = generator(7, "init")
    model: nn.Module = {
        "linear": lambda: nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8)),
        "convolution": lambda: nn.Sequential(nn.Conv2d(3, 8, 2), nn.Conv2d(8, 8, 1)),
        "attention": lambda: nn.MultiheadAttention(8, 4),
    }[kind]()
    for weight in prunable(model).values():
        weight.data = torch.randn(weight.shape, generator=draw)
    return model


def _cuts(granularity: Granularity, model: nn.Module) -> bool:
    try:
        granularity.groups(model, prunable(model))
    except ConfigError:
        return False
    return True
