"""One named random generator per purpose.

A change in one purpose (another criterion drawing random scores, say) never shifts the numbers of another: every
generator's seed is a hash of the run's seed and the purpose's name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

Purpose = Literal["data", "labels", "subset", "init", "batches", "masks", "scoring", "forward", "noise"]


def derive(seed: int, purpose: Purpose, *more: int) -> int:
    """A 63-bit seed for ``purpose``, the same on every machine and in every process."""
    text = "/".join(["prune_core", str(seed), purpose, *map(str, more)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, purpose: Purpose, *more: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator for ``purpose`` on ``device``."""
    return torch.Generator(device=device).manual_seed(derive(seed, purpose, *more))


@contextmanager
def global_seed(seed: int, purpose: Purpose, *more: int) -> Iterator[None]:
    """Within the block torch's global generators start from ``purpose``'s seed; afterwards they are as before.

    For code that can only draw from the global generator: ``nn.Module`` initialisers and dropout. Not thread-safe,
    as torch's global generator is not.
    """
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(derive(seed, purpose, *more))
        yield
