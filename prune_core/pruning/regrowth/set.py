"""Regrowth at random."""

from __future__ import annotations

import torch
from torch import Tensor

from prune_core.pruning.regrowth.base import Exchange
from prune_core.registry import register


@register(
    "set",
    label="SET",
    formula=r"\text{drop the smallest } |w|,\; \text{grow at random}",
    reference="Mocanu et al. 2018, Sparse Evolutionary Training, arXiv:1707.04780",
)
class SET(Exchange):
    """Lets removed weights come back at random, in place of the smallest that are there."""

    def grow(self, weight: Tensor, gradient: Tensor | None, generator: torch.Generator) -> Tensor:
        return torch.rand(weight.shape, generator=generator, device=generator.device).to(weight.device)
