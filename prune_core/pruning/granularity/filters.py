"""Whole filters."""

from __future__ import annotations

from typing import ClassVar

from torch import nn
from torch.nn.modules.conv import _ConvNd

from prune_core.pruning.granularity.base import Granularity, rows
from prune_core.pruning.granularity.groups import Part
from prune_core.registry import register


@register(
    "filters",
    label="Filters",
    formula=r"W_{o,:,:,:} \text{ goes as a whole}",
    reference="Li, Kadav, Durdanovic, Samet, Graf 2017, arXiv:1608.08710",
)
class Filters(Granularity):
    """Removes whole filters of convolutions, so that an output channel is nothing but its bias; other layers stay."""

    wants: ClassVar[str] = "convolutions"
    whole_outputs: ClassVar[bool] = True

    def cut(self, name: str, shape: tuple[int, ...], layer: nn.Module) -> Part | None:
        if not isinstance(layer, _ConvNd) or (layer.transposed and layer.groups > 1):
            return None
        return rows(name, shape, 1 if layer.transposed else 0)
