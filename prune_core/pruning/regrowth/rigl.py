"""Regrowth where the loss asks for it."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from prune_core.pruning.regrowth.base import Exchange
from prune_core.registry import register


@register(
    "rigl",
    label="RigL",
    formula=r"\text{drop the smallest } |w|,\; \text{grow the largest } |g|",
    reference="Evci, Gale, Menick, Castro, Elsen 2020, arXiv:1911.11134",
)
class RigL(Exchange):
    """Lets those removed weights come back that the gradient would change most, in place of the smallest."""

    sees_gradients: ClassVar[bool] = True

    def grow(self, weight: Tensor, gradient: Tensor | None, generator: torch.Generator) -> Tensor:
        assert gradient is not None, "sees_gradients says so"
        return gradient.abs()
