"""Pruning by chance: the baseline that every criterion has to beat."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from prune_core.errors import ConfigError
from prune_core.pruning.criteria.base import Criterion
from prune_core.registry import register


@register(
    "random",
    label="Random",
    formula=r"s \sim \mathcal{U}(0, 1)",
    reference="The usual control; Blalock et al. 2020, arXiv:2003.03033",
)
class Random(Criterion):
    """Removes weights at random: the baseline that every criterion has to beat."""

    def score(
        self,
        weights: Mapping[str, Tensor],
        grads: Mapping[str, Tensor] | None = None,
        generator: torch.Generator | None = None,
    ) -> Mapping[str, Tensor]:
        if generator is None:
            raise ConfigError("Random.score needs a generator: give seeding.generator(seed, 'masks').")
        # drawn where the generator lives, the CPU as a rule: the same masks whatever device the weights are on
        return {
            name: torch.rand(w.shape, generator=generator, device=generator.device).to(w.device)
            for name, w in weights.items()
        }
