"""Whole neurons."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from prune_core.pruning.granularity.base import Granularity, rows
from prune_core.pruning.granularity.groups import Part
from prune_core.registry import register


@register(
    "neurons",
    label="Neurons",
    formula=r"W_{o,:} \text{ goes as a whole}",
    reference="Mozer, Smolensky 1989, Skeletonization",
)
class Neurons(Granularity):
    """Removes whole neurons of linear layers, so that an output is nothing but its bias; other layers stay."""

    wants: ClassVar[str] = "linear layers"
    whole_outputs: ClassVar[bool] = True

    def cut(self, name: str, shape: tuple[int, ...], layer: nn.Module) -> Part | None:
        return rows(name, shape) if isinstance(layer, nn.Linear) else None
