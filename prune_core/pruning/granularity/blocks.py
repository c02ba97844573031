"""Rectangles of neighbouring weights."""

from __future__ import annotations

import math

from torch import nn

from prune_core.pruning.granularity.base import Granularity
from prune_core.pruning.granularity.groups import Part
from prune_core.registry import register
from prune_core.settings import setting


@register(
    "blocks",
    label="Blocks",
    formula=r"W_{[ri,\, r(i+1)) \times [cj,\, c(j+1))} \text{ goes as a whole}",
    reference="Narang, Undersander, Diamos 2017, arXiv:1711.02782; Gray, Radford, Kingma 2017, block-sparse kernels",
)
class Blocks(Granularity):
    """Removes rectangles of neighbouring weights, which sparse kernels can skip at a time.

    A layer is seen as a matrix of outputs by inputs, of a convolution by inputs times places of its kernel. Blocks at
    its edges are as large as there is room.
    """

    rows: int = setting(4, ge=1, le=1024, unit="outputs", help="Height of a block.")
    columns: int = setting(1, ge=1, le=1024, unit="inputs", help="Width of a block.")

    def cut(self, name: str, shape: tuple[int, ...], layer: nn.Module) -> Part | None:
        high, wide = shape[0], math.prod(shape[1:])
        down, across = -(-high // self.rows), -(-wide // self.columns)
        padded = (down * self.rows, across * self.columns)
        view = (down, self.rows, across, self.columns)
        return Part(name, shape, view, (0, 2, 1, 3), 2, padded if padded != (high, wide) else ())
