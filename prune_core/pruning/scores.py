"""Scores that need no memory of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor


class AbsoluteValues(Mapping[str, Tensor]):
    """``{name: |w|}``, each made when asked for; selection reads ``weights`` block by block and never makes them."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self.weights = {name: w.detach() for name, w in weights.items()}

    def __getitem__(self, name: str) -> Tensor:
        return self.weights[name].abs()

    def __iter__(self) -> Iterator[str]:
        return iter(self.weights)

    def __len__(self) -> int:
        return len(self.weights)
