"""Measure the statistics of normalisation anew, after pruning has changed what passes through."""

from __future__ import annotations

import torch
from torch import nn

from prune_core.data import Dataset
from prune_core.events import WarningEvent
from prune_core.pruning.quiet import normalised
from prune_core.seeding import generator

EXAMPLES = 2048  # enough for means and variances of a layer to settle
BATCH = 256


@torch.no_grad()
def recalibrate_(model: nn.Module, data: Dataset, seed: int = 0, examples: int = EXAMPLES) -> int:
    """Replace every batch normalisation's running mean and variance by those of training examples, each counting alike.

    No weight changes and nothing is dropped by chance: all else runs in eval mode. Returns how many examples were
    looked at, 0 for a model without such layers. Statistics of the dense network do not fit a pruned one, and cost it
    accuracy that it need not lose (Li et al. 2020, EagleEye, arXiv:2007.02491).
    """
    layers = normalised(model)
    if not layers:
        return 0
    modes = {module: module.training for module in model.modules()}
    momenta = [layer.momentum for layer in layers]
    seen = 0
    try:
        model.eval()
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # the plain mean over all batches
            layer.train()
        n = min(examples, data.info.train)
        size = min(BATCH, n)  # of equal batches, since each counts alike
        for x, _ in data.drawn(n // size * size, generator(seed, "scoring", 2**31), size):
            model(x)
            seen += len(x)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for module, mode in modes.items():
            module.training = mode
    return seen


def recalibrate_and_say_(model: nn.Module, data: Dataset, seed: int, step: int) -> WarningEvent | None:
    """``recalibrate_``, and the words for the run's history; None where there is nothing to measure."""
    n = recalibrate_(model, data, seed)
    if not n:
        return None
    return WarningEvent(
        step,
        f"Batch normalisation was measured anew on {n:,} training examples, because nothing was trained after the last "
        "removal (Pruning.recalibrate).",
    )
