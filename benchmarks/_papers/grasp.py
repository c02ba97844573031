"""Wang, Zhang, Grosse 2020, arXiv:2002.07376: what is left after GraSP has the longer gradient, so it trains faster."""

from __future__ import annotations

from functools import partial

import torch
from torch.nn import functional as F

import prune_core as pc

from .study import Claim, Figures, Study

MODELS = {"LeNet-300-100": pc.LeNet300(), "LeNet-5": pc.LeNet5()}
CRITERIA = {
    "GraSP": pc.GraSP(examples=256),
    "SNIP": pc.SNIP(examples=256),
    "magnitude": pc.Magnitude(),
    "random": pc.Random(),
}
SPARSITIES = (0.8, 0.9, 0.95, 0.98)


def trial(name: str, seed: int) -> Figures:
    """L2 norm of the gradient of the weights left, over the dense network's, for 256 examples that no criterion saw."""
    order = torch.randperm(60_000, generator=torch.Generator().manual_seed(seed))
    data = pc.MNIST().load()
    batch, others = data.train_batch(order[:256]), data.train_batch(order[256:512])
    dense = gradient_norm(MODELS[name].build((1, 28, 28), 10, seed), *others)
    figures = {}
    for sparsity in SPARSITIES:
        for title, criterion in CRITERIA.items():
            model = MODELS[name].build((1, 28, 28), 10, seed)
            masks = pc.prune_(model, sparsity, criterion, batch=batch, seed=seed)
            figures[f"{name}, {sparsity:.0%}, {title}"] = gradient_norm(model, *others, masks) / dense
    return figures


def gradient_norm(
    model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, masks: dict[str, torch.Tensor] | None = None
) -> float:
    """Of the mean cross entropy, over the prunable weights that are there."""
    weights = pc.prunable(model)
    found = torch.autograd.grad(F.cross_entropy(model(x), y), list(weights.values()))
    left = [g if masks is None else g * masks[name] for name, g in zip(weights, found, strict=True)]
    return float(torch.stack([g.norm() for g in left]).norm())


STUDY = Study(
    name="Gradient flow",
    source="Wang et al. 2020, arXiv:2002.07376",
    unit="gradient norm after pruning ÷ before",
    trials={name: partial(trial, name) for name in MODELS},
    claims=tuple(
        Claim(
            f"{name}, {sparsity:.0%}: the gradient is longer after GraSP than after {title}",
            lambda m, row=f"{name}, {sparsity:.0%}", title=title: m[f"{row}, GraSP"] > m[f"{row}, {title}"],
        )
        for name in MODELS
        for sparsity in SPARSITIES
        for title in ("SNIP", "magnitude", "random")
    ),
)
