"""Pruning by magnitude, measured by what is usual in the layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from prune_core.pruning.criteria.base import Criterion
from prune_core.pruning.evidence import Evidence
from prune_core.registry import register


@register(
    "relative_magnitude",
    label="Relative magnitude",
    formula=r"s = |w| \,/\, \overline{|w|}_l",
    reference='The "largest relative value" of many texts, made exact',
)
class RelativeMagnitude(Criterion):
    """Removes the weights that are small for their layer, so that no layer goes for its scale alone.

    The mean is over the weights that are still there.
    """

    by_size: ClassVar[bool] = True

    def score(self, at: Evidence) -> Mapping[str, Tensor]:
        found = {}
        for name, w in at.weights.items():
            size = w.abs()
            left = size[at.masks[name]] if name in at.masks else size
            mean = left.double().mean() if left.numel() else size.new_ones((), dtype=size.double().dtype)
            found[name] = size / torch.where(mean > 0, mean, 1.0).to(size.dtype)
        return found
