"""Pruning by chance: the baseline that every criterion has to beat."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from prune_core.pruning import quick
from prune_core.pruning.criteria.base import Criterion
from prune_core.pruning.evidence import Evidence
from prune_core.registry import register


@register(
    "random",
    label="Random",
    formula=r"s \sim \mathcal{U}(0, 1)",
    reference="The usual control; Blalock et al. 2020, arXiv:2003.03033",
)
class Random(Criterion):
    """Removes weights at random: the baseline that every criterion has to beat."""

    def score(self, at: Evidence) -> Mapping[str, Tensor]:
        draw = at.generator
        many = sum(w.numel() for w in at.weights.values()) >= quick.WORTH
        # drawn where the generator lives, the CPU as a rule: the same masks whatever device the weights are on
        return {
            name: (
                quick.uniform(w.shape, draw) if many else torch.rand(w.shape, generator=draw, device=draw.device)
            ).to(w.device)
            for name, w in at.weights.items()
        }

    def of_groups(self, contributions: Tensor, there: Tensor) -> Tensor:
        return contributions[:, 0]  # the mean of many draws would favour small groups
