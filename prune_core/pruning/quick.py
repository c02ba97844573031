"""The compiled loops of ``kernels``, where weights are many enough to be worth their import.

What they make is bit for bit what torch makes; GPUs, other types and small models go torch's way.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

WORTH = 4_000_000  # weights: below, the loops save less than some hundredths of a second

# where torch keeps what of a CPU generator, in bytes: draws until the state is used up (int32), words used (uint64),
# the words (624 uint64)
LEFT, USED, WORDS = slice(8, 12), slice(16, 24), slice(24, 24 + 8 * 624)


def pays(weights: Mapping[str, Tensor]) -> bool:
    """Whether the loops take these weights, and there are enough of them."""
    return (
        all(w.is_cpu and w.dtype == torch.float32 for w in weights.values())
        and sum(w.numel() for w in weights.values()) >= WORTH
    )


def lamp(weight: Tensor) -> Tensor:
    """LAMP's scores (float64) of one layer: float32, in main memory."""
    values = weight.detach().reshape(-1).numpy()
    keys, scores = np.empty(values.size, np.uint64), np.empty(values.size)
    _kernels().size_keys(values, keys)
    keys.sort()  # vector instructions
    _kernels().lamp(keys, scores)
    return torch.from_numpy(scores).view(weight.shape)


def uniform(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """``torch.rand(shape, generator=generator)``, the same bits, after which the generator stands at the same place."""
    if generator.device.type != "cpu" or not _knows_torch():
        return torch.rand(shape, generator=generator, device=generator.device)
    return _uniform(shape, generator)


def warm() -> None:
    """Import the loops, compiled anew where that was never done: a process that waits for work does it beforehand."""
    _kernels()


def _uniform(shape: torch.Size, generator: torch.Generator) -> Tensor:
    drawn = torch.empty(shape)
    state = generator.get_state()
    raw = state.numpy()
    left, used, words = raw[LEFT].view(np.int32), raw[USED].view(np.uint64), raw[WORDS].view(np.uint64)
    small = words.astype(np.uint32)
    # a fresh generator has one draw left and no word used: its words are a seed that must be mixed first
    begin = 624 if left[0] == 1 else int(used[0])
    end = _kernels().uniform(small, begin, drawn.numpy().reshape(-1))
    if drawn.numel():
        words[:], used[0], left[0] = small, end, 624 - end + 1
        generator.set_state(state)
    return drawn


@functools.cache
def _knows_torch() -> bool:
    """Whether this torch draws and keeps its generators as we think: tried once, across the end of a state."""
    ours, theirs = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    try:
        for n in (3, 1000, 245, 1):  # to the last word of a state, and one beyond
            drawn = _uniform(torch.Size([n]), ours)
            if not torch.equal(drawn, torch.rand(n, generator=theirs)):
                return False
            if not torch.equal(ours.get_state(), theirs.get_state()):
                return False
    except (ValueError, IndexError, RuntimeError):
        return False
    return True


@functools.cache
def _kernels() -> Any:
    return importlib.import_module("prune_core.pruning.kernels")
