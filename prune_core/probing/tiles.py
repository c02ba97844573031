"""A layer's weights as a picture wants them: a part that can be seen, with what is removed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from prune_core.pruning import Granularity, NofM

Kind = Literal["filters", "n_of_m", "matrix"]
FILTERS, CHANNELS = 24, 16  # kernels shown at most: so many outputs, so many inputs of each
CELLS = 6000  # weights of kernels shown at most
OUTPUTS, GROUPS = 24, 12  # of a pattern N:M: rows, groups in each
ROWS, COLUMNS, DOTS = 32, 96, 1600  # of a matrix, at most


@dataclass(frozen=True, eq=False)
class LayerTiles:
    """A part of one layer's weights, by ``kind``.

    "filters": ``values`` (outputs, inputs, height, width), the first ones of a convolution of ``shape``.
    "n_of_m": (rows, groups, m); a row is an output, of a convolution at one place of its kernel.
    "matrix": (rows, columns), each a block of ``cell`` weights: their root mean square, and in ``kept`` the share kept.
    ``kept`` has the shape of ``values``, 1 = kept, in [0, 1]. ``empty`` counts outputs of the whole layer that have no
    weight left, ``removed`` its weights that are gone.
    """

    name: str
    kind: Kind
    values: np.ndarray
    kept: np.ndarray
    shape: tuple[int, ...]
    removed: int
    empty: int
    cell: tuple[int, int] = (1, 1)

    @property
    def sparsity(self) -> float:
        """Share of the whole layer's weights that is removed."""
        return self.removed / max(math.prod(self.shape), 1)


def layer_tiles(
    name: str, weight: Tensor, mask: Tensor, granularity: Granularity | None = None, *, along: int = 1
) -> LayerTiles:
    """Cut what can be shown from ``weight`` and ``mask`` (True = kept) of one layer.

    A pattern N of M where that is how the layer is cut, kernels of convolutions, dots for matrices. ``along`` is the
    axis of the inputs: 1, but 0 of transposed convolutions.
    """
    weight, mask = weight.detach().float().cpu(), mask.cpu()
    empty = int((~mask.movedim(1 - along, 0).flatten(1).any(1)).sum()) if mask.dim() > 1 else int((~mask).sum())
    more: dict[str, Any] = {"shape": tuple(weight.shape), "removed": int((~mask).sum()), "empty": empty}
    if isinstance(granularity, NofM) and weight.shape[along] % granularity.m == 0:
        values, kept = (_pattern(t, along, granularity.m) for t in (weight, mask.float()))
        return LayerTiles(name, "n_of_m", values, kept, **more)
    if weight.dim() > 2 and math.prod(weight.shape[2:]) > 1:
        values, kept = (_kernels(t.movedim(1 - along, 0)) for t in (weight, mask.float()))
        return LayerTiles(name, "filters", values, kept, **more)
    values, kept, cell = _matrix(weight.reshape(len(weight), -1), mask.reshape(len(mask), -1))
    return LayerTiles(name, "matrix", values, kept, cell=cell, **more)


def _kernels(tensor: Tensor) -> np.ndarray:
    """(outputs, inputs, height, width) of the first kernels; one dimension is a single row."""
    flat = tensor.reshape(*tensor.shape[:2], *((1, tensor.shape[2]) if tensor.dim() == 3 else tensor.shape[-2:]))
    height, width = flat.shape[-2:]
    inputs = min(CHANNELS, flat.shape[1])
    outputs = min(FILTERS, flat.shape[0], max(1, CELLS // (inputs * height * width)))
    return flat[:outputs, :inputs].numpy()


def _pattern(tensor: Tensor, along: int, m: int) -> np.ndarray:
    """(rows, groups, m) of the first groups."""
    rows = tensor.movedim(along, -1)
    return rows.reshape(-1, rows.shape[-1] // m, m)[:OUTPUTS, :GROUPS].numpy()


def _matrix(weight: Tensor, mask: Tensor) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Blocks: root mean square of what is kept, share kept, and the size of a block; the last ones may be smaller."""
    rows, columns = weight.shape
    down = math.ceil(rows / ROWS)
    across = math.ceil(columns / min(COLUMNS, DOTS // math.ceil(rows / down)))
    if down == across == 1:
        return weight.abs().numpy(), mask.float().numpy(), (1, 1)
    square, kept = (_sums(t, down, across) for t in (weight.square() * mask, mask.float()))
    size = _sums(torch.ones_like(weight), down, across)
    return (square / kept.clamp(min=1)).sqrt().numpy(), (kept / size).numpy(), (down, across)


def _sums(table: Tensor, down: int, across: int) -> Tensor:
    rows, columns = math.ceil(table.shape[0] / down), math.ceil(table.shape[1] / across)
    padded = torch.zeros(rows * down, columns * across)
    padded[: table.shape[0], : table.shape[1]] = table
    return padded.reshape(rows, down, columns, across).sum((1, 3))
