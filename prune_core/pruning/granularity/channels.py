"""Whole input channels."""

from __future__ import annotations

from typing import ClassVar

from torch import nn
from torch.nn.modules.conv import _ConvNd

from prune_core.pruning.granularity.base import Granularity, rows
from prune_core.pruning.granularity.groups import Part
from prune_core.registry import register


@register(
    "channels",
    label="Input channels",
    formula=r"W_{:,i,:,:} \text{ goes as a whole}",
    reference="He, Zhang, Sun 2017, arXiv:1707.06168",
)
class Channels(Granularity):
    """Removes whole input channels of convolutions, so that what comes in there is not read; other layers stay.

    A convolution in groups, whose filters read different channels, stays dense, and so does one with a single channel.
    """

    wants: ClassVar[str] = "convolutions with more than one input channel"

    def cut(self, name: str, shape: tuple[int, ...], layer: nn.Module) -> Part | None:
        if not isinstance(layer, _ConvNd) or layer.groups > 1 or layer.in_channels == 1:
            return None
        return rows(name, shape, 0 if layer.transposed else 1)
