"""From the lowest score on: a stable order, in a fraction of the time that torch's own sort takes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def rising(scores: Tensor) -> tuple[Tensor, Tensor]:
    """``scores`` (..., n), none below 0, in rising order along the last dimension, and the places int64 they had.

    The first of equals comes first, nan last. On the CPU and for float32 this takes about a quarter of the time of
    ``sort``, and the values come with it, where to look them up by place would take longer than to sort them.
    """
    if not scores.is_cpu or scores.dtype != torch.float32 or scores.dim() == 0:
        values, places = scores.sort(dim=-1, stable=True)
        return values, places
    # the bits of floats that are not negative order as the floats do; with its place below them a score is one whole
    # number, numpy sorts those with vector instructions, and what comes out says both
    keys = scores.contiguous().numpy().view(np.uint32).astype(np.uint64)
    keys <<= np.uint64(32)
    keys |= np.arange(keys.shape[-1], dtype=np.uint64)
    keys.sort(axis=-1)
    values = torch.from_numpy((keys >> np.uint64(32)).astype(np.uint32).view(np.float32))
    keys &= np.uint64(0xFFFF_FFFF)
    return values, torch.from_numpy(keys.view(np.int64))
