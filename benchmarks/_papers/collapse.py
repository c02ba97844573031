"""Tanaka, Kunin, Yamins, Ganguli 2020, arXiv:2006.05467, section 3: when pruning before training empties a layer."""

from __future__ import annotations

from functools import partial

import torch

import prune_core as pc
from prune_core.pruning import one_batch

from .study import Claim, Figures, Means, Study

MODELS = {"LeNet-300-100": pc.LeNet300(), "nine layers": pc.MLP(width=100, depth=8)}
AT_ONCE = {
    "random": pc.Random(),
    "magnitude": pc.Magnitude(),
    "SNIP": pc.SNIP(examples=256),
    "GraSP": pc.GraSP(examples=256),
}
STEP = 10**0.5  # between two compressions that SynFlow is tried at


def trial(name: str, seed: int) -> Figures:
    """Critical compression of each criterion: all weights over those left, the highest at which no layer is empty."""
    model = MODELS[name].build((1, 28, 28), 10, seed)
    weights = {n: w.detach() for n, w in pc.prunable(model).items()}
    data = pc.MNIST().load()
    batch = data.train_batch(torch.randperm(60_000, generator=torch.Generator().manual_seed(seed))[:256])
    total, figures = sum(w.numel() for w in weights.values()), {}
    for title, criterion in AT_ONCE.items():
        draw = torch.Generator().manual_seed(seed)
        scores = criterion.score(pc.Evidence(weights, model=model, batches=one_batch(*batch), generator=draw))
        few, many = 0, total  # weights left: a layer is empty, none is
        while many - few > 1:
            left = (few + many) // 2
            if complete(pc.make_masks(scores, 1 - left / total)):
                many = left
            else:
                few = left
        figures[f"{name}, {title}"] = total / many
    figures[f"{name}, SynFlow"] = synflow(name, seed, total / len(weights))
    figures[f"{name}, one weight a layer"] = total / len(weights)
    return figures


def synflow(name: str, seed: int, most: float) -> float:
    """The highest compression of a grid, up to ``most``, at which no layer is empty."""
    reached = 1.0
    while reached < most:
        wanted = min(reached * STEP, most)
        model = MODELS[name].build((1, 28, 28), 10, seed)
        ones = torch.ones(1, 1, 28, 28), torch.zeros(1, dtype=torch.int64)  # no data is looked at, only its shape
        if not complete(pc.prune_(model, 1 - 1 / wanted, pc.SynFlow(), batch=ones)):
            break
        reached = wanted
    return reached


def complete(masks: dict[str, torch.Tensor]) -> bool:
    """Whether every layer has a weight left."""
    return all(bool(mask.any()) for mask in masks.values())


def _last(name: str, m: Means) -> bool:
    return m[f"{name}, SynFlow"] > max(m[f"{name}, {title}"] for title in AT_ONCE)


STUDY = Study(
    name="Layer collapse",
    source="Tanaka et al. 2020, arXiv:2006.05467",
    unit="critical compression",
    trials={name: partial(trial, name) for name in MODELS},
    claims=tuple(
        claim
        for name in MODELS
        for claim in (
            Claim(f"{name}: SynFlow empties a layer last of all", partial(_last, name)),
            Claim(
                f"{name}: SynFlow goes down to one weight a layer, the least there is",
                lambda m, name=name: m[f"{name}, SynFlow"] == m[f"{name}, one weight a layer"],
            ),
            Claim(
                f"{name}: magnitude empties a layer first",
                lambda m, name=name: m[f"{name}, magnitude"] == min(m[f"{name}, {title}"] for title in AT_ONCE),
            ),
        )
    ),
)
