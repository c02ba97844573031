"""What regrowth is: weights that were removed and come back, while as many others go."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor

from prune_core.registry import Registered, Registry
from prune_core.settings import setting


class Regrowth(Registered):
    """Which removed weights come back, and when. There are two kinds, told apart by what a removed weight is.

    It is nothing: members of ``Exchange`` trade some of those that are there for others, which start at 0. Or it keeps
    a value that training goes on moving (``keeps_values``): then all masks are chosen anew, by the run's criterion and
    scope and at the sparsity of its schedule, where that removes and where ``is_due`` says so.
    """

    registry: ClassVar[Registry[Regrowth]] = Registry("regrowth")
    keeps_values: ClassVar[bool] = False
    """Whether removed weights keep a value behind their mask, which every update moves like any other."""

    every: int = setting(1, ge=1, le=10_000_000, unit="steps", help="Steps between two changes of the masks.")
    until: float = setting(
        0.75, gt=0, le=1, help="Share of the training after which nothing comes back any more.", advanced=True
    )

    def is_due(self, step: int, steps: int) -> bool:
        """Whether weights may come back after ``step`` of ``steps`` updates; never after the last."""
        return 0 < step < self.until * steps and step % self.every == 0


class Exchange(Regrowth):
    """Drops the smallest kept weights of each layer and grows as many others there. A member gives ``grow``.

    The share exchanged falls along half a cosine and is 0 from ``until`` of the training on (Evci et al. 2020,
    arXiv:1911.11134, section 3). What grows starts at 0, without momentum; one that was dropped and grows again in the
    same exchange goes on as if nothing had happened.
    """

    sees_gradients: ClassVar[bool] = False
    """Whether ``grow`` looks at the gradients of all weights, removed ones included."""

    every: int = setting(100, ge=1, le=10_000_000, unit="steps", help="Steps between two exchanges.")
    share: float = setting(0.3, gt=0, lt=1, help="Share of a layer's kept weights exchanged at first.")

    def share_at(self, step: int, steps: int) -> float:
        """The share exchanged after ``step`` of ``steps`` updates; 0 where nothing is."""
        if not self.is_due(step, steps):
            return 0.0
        return self.share / 2 * (1 + math.cos(math.pi * step / (self.until * steps)))

    def grow(self, weight: Tensor, gradient: Tensor | None, generator: torch.Generator) -> Tensor:
        """A score of the weight's shape: of the weights that are not there, the highest grow.

        ``gradient`` is that of the step just made, given where ``sees_gradients``.
        """
        raise NotImplementedError


@torch.no_grad()
def exchange(
    weights: Mapping[str, Tensor], masks: Mapping[str, Tensor], share: float, grow: Callable[[str], Tensor]
) -> dict[str, Tensor]:
    """Masks in which each layer has dropped ``share`` of its kept weights and grown as many.

    Dropped are the lowest |w| of those kept; grown, by ``grow(name)``, the highest of all that are not there then, one
    that was just dropped among them. Of equals the first in the layer goes first, and comes first. Every layer keeps
    its number of weights.
    """
    found = {}
    for name, mask in masks.items():
        flat = mask.reshape(-1).clone()
        kept = flat.nonzero().squeeze(1)
        n = min(int(share * len(kept)), len(flat) - len(kept))
        if n:
            size = weights[name].detach().abs().reshape(-1)[kept]
            flat[kept[size.argsort(stable=True)[:n]]] = False
            absent = (~flat).nonzero().squeeze(1)
            wanted = grow(name).reshape(-1)[absent]
            flat[absent[wanted.argsort(descending=True, stable=True)[:n]]] = True
        found[name] = flat.view(mask.shape)
    return found
