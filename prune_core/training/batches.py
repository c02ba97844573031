"""Which examples make up which batch: epochs of a seeded permutation, with a position that can be saved."""

from __future__ import annotations

from typing import Any

import torch

from prune_core.seeding import generator


class Batches:
    """Endless batches of indices. Each epoch is a fresh permutation; a remainder smaller than a batch is left out.

    ``state`` is taken at the start of the epoch, so that a resumed run draws the same permutation again.
    """

    def __init__(self, n: int, batch_size: int, seed: int, device: torch.device) -> None:
        self.n, self.batch_size, self.device = n, batch_size, device
        self._generator = generator(seed, "batches")
        self._begin()

    def _begin(self) -> None:
        self._epoch_state = self._generator.get_state()
        self._order = torch.randperm(self.n, generator=self._generator).to(self.device)
        self._at = 0

    def next(self) -> torch.Tensor:
        """Indices (batch_size,) int64 on the device."""
        if self._at + self.batch_size > self.n:
            self._begin()
        batch = self._order[self._at : self._at + self.batch_size]
        self._at += self.batch_size
        return batch

    def state_dict(self) -> dict[str, Any]:
        """What ``load_state_dict`` needs to go on from here."""
        return {"epoch": self._epoch_state, "at": self._at}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where ``state_dict`` was taken."""
        self._generator.set_state(state["epoch"])
        self._begin()
        self._at = int(state["at"])
