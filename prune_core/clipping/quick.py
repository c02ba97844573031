"""The compiled loops of ``kernels``, for the vectors that they take: float32 in main memory.

All else (float64, GPU) goes torch's way, which says the same up to rounding. The loops are imported when first needed:
who never clips never waits for them.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, Any]


def takes(values: Tensor) -> bool:
    """Whether the loops take this vector."""
    return values.dtype == torch.float32 and values.is_cpu and values.is_contiguous()


def clamp_(values: Tensor, ends: Array, bound: float) -> Array:
    """Limit every entry to [−bound, bound], bitwise as ``Tensor.clamp_`` does; ``ends`` (units + 1,) cut the vector.

    Returns (units, 4) in float64, of each unit's entries a before and b after: Σa², Σb², Σa·b, how many changed.
    """
    sums = np.empty((len(ends) - 1, 4))
    _kernels().clamp_(values.numpy(), ends, bound, sums)
    return sums


def scale_(values: Tensor, ends: Array, factors: Tensor) -> Array:
    """Multiply unit i by ``factors[i]``, bitwise as ``Tensor.mul_`` does. Returns how many changed, (units,)."""
    changed = np.empty(len(ends) - 1)
    _kernels().scale_(values.numpy(), ends, factors.to(torch.float32).contiguous().numpy(), changed)
    return changed


def compare(before: Tensor, after: Tensor, ends: Array) -> Array:
    """What clamp_ returns, of a change that was made otherwise."""
    sums = np.empty((len(ends) - 1, 4))
    _kernels().compare(before.numpy(), after.numpy(), ends, sums)
    return sums


def describe(sums: Array, ends: Array) -> Array:
    """The rows of a report, (units + 1, 4), from what clamp_ returns; the last is of all units together."""
    rows = np.empty((len(ends), 4))
    _kernels().describe(sums, ends, rows)
    return rows


def norms(values: Tensor, ends: Array) -> Tensor:
    """L2 norms (units,) in float64."""
    lengths = np.empty(len(ends) - 1)
    _kernels().norms(values.numpy(), ends, lengths)
    return torch.from_numpy(lengths)


def warm() -> None:
    """Import the loops, compiled anew where that was never done: a process that waits for work does it beforehand."""
    _kernels()


@functools.cache
def _kernels() -> Any:
    return importlib.import_module("prune_core.clipping.kernels")
