"""What makes it quick to say what clipping would do at any threshold: one way through the gradient, then only sums.

For vectors that ``quick`` takes and whose entries are all finite; everything else is clipped and measured.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch

from prune_core.clipping import quick
from prune_core.clipping.gradients import FlatGradients
from prune_core.clipping.quick import Array

TINY = 2.0**-125  # below, a product with a factor under 1 may round back to what it was


def takes(grads: FlatGradients) -> bool:
    """Whether the sums below say what clipping does to ``grads``."""
    return quick.takes(grads.values) and bool(torch.isfinite(grads.values).all())


def copy_of(grads: FlatGradients) -> FlatGradients:
    """The same gradient with values of its own, to be clipped."""
    copied = FlatGradients(grads.values.clone(), grads.names, grads.offsets, grads.parameters)
    copied.clipped = grads.clipped
    return copied


class Multiplied:
    """How many entries of each unit change if it is multiplied by a factor in [0, 1].

    ``ends`` (units + 1,) cut the vector. Every entry changes that is not zero, but for some of the very smallest.
    """

    def __init__(self, values: torch.Tensor, ends: Array) -> None:
        entries = values.numpy()
        sizes = np.abs(entries)
        self._large = _within(np.flatnonzero(sizes >= TINY), ends)
        tiny = np.flatnonzero((sizes < TINY) & (entries != 0))
        self._tiny, self._unit = entries[tiny], np.searchsorted(ends, tiny, side="right") - 1

    def changed(self, factors: torch.Tensor) -> Array:
        """The counts, (units,), for ``factors`` (units,) or one for all."""
        by = np.broadcast_to(factors.to(torch.float32).numpy(), self._large.shape)
        counts = np.where(by < 1, self._large, 0).astype(float)
        if len(self._tiny):
            moved = (self._tiny * by[self._unit] != self._tiny) & (by[self._unit] < 1)
            counts += np.bincount(self._unit[moved], minlength=len(counts))
        return counts


class Sorted:
    """Every layer's magnitudes in rising order, with running sums: clipping by value at any threshold in no time."""

    def __init__(self, grads: FlatGradients) -> None:
        self._layers = []
        for layer in grads.layers:
            sizes = np.sort(np.abs(layer.numpy()))
            wide = sizes.astype(np.float64)
            self._layers.append((sizes, _running(wide), _running(wide * wide)))

    def sums(self, bound: float) -> Array:
        """(layers, 4), of entries a and clamp(a, −bound, bound) = b: Σa², Σb², Σa·b, how many differ."""
        cut = np.float32(bound)
        rows = np.empty((len(self._layers), 4))
        for row, (sizes, once, squares) in zip(rows, self._layers, strict=True):
            i, top = int(np.searchsorted(sizes, cut, side="right")), float(cut)
            above = len(sizes) - i
            row[:] = squares[-1], squares[i] + top * top * above, squares[i] + top * (once[-1] - once[i]), above
        return rows


def _running(values: Array) -> Array:
    """Sums of the first 0, 1, ..., n entries, (n + 1,)."""
    total = np.zeros(len(values) + 1)
    np.cumsum(values, out=total[1:])
    return total


def _within(places: Array, ends: Array) -> Array:
    """How many of the rising ``places`` lie in each unit, (units,)."""
    before = np.searchsorted(places, ends)
    return np.array([b - a for a, b in pairwise(before)], dtype=np.int64)
