"""Weights cut into groups: how tensors become tables of groups, and how whole groups are chosen."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from prune_core.errors import ConfigError
from prune_core.pruning.select import NAN

OfGroups = Callable[[Tensor, Tensor], Tensor]
"""Scores (groups,) from the scores of the weights in them (groups, size) and which of these are there (bool)."""


@dataclass(frozen=True)
class Part:
    """One tensor cut into groups: padded to ``padded`` sides, reshaped to ``view``, its axes put into ``order``.

    The first ``lead`` axes then count the groups, the rest the weights in one. ``shape`` is the tensor's own.
    ``padded`` are rows and columns where groups at the edges of the tensor, seen as a matrix, are cut short.
    """

    name: str
    shape: tuple[int, ...]
    view: tuple[int, ...]
    order: tuple[int, ...]
    lead: int
    padded: tuple[int, ...] = ()

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return math.prod(self.view[axis] for axis in self.order[: self.lead])

    def table(self, tensor: Tensor) -> Tensor:
        """``tensor`` as (groups, size); what lies beyond its edges is 0, or False."""
        if self.padded:
            rows, columns = self.shape[0], math.prod(self.shape[1:])
            more = (0, self.padded[1] - columns, 0, self.padded[0] - rows)
            tensor = F.pad(tensor.reshape(rows, columns), more)
        return tensor.reshape(self.view).permute(self.order).reshape(self.groups, -1)

    def spread(self, table: Tensor) -> Tensor:
        """A table (groups, size) as a tensor of the weight's shape; a column (groups, 1) is the same for all of one."""
        sides = [self.view[axis] for axis in self.order]
        size = math.prod(sides[self.lead :])
        back = table.expand(self.groups, size).reshape(sides).permute(_inverse(self.order))
        if self.padded:
            back = back.reshape(self.padded)[: self.shape[0], : math.prod(self.shape[1:])]
        return back.reshape(self.shape).contiguous()


@dataclass(frozen=True)
class Unit:
    """Tensors that are cut alike and lose the same groups together; mostly one."""

    parts: tuple[Part, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The weights in it."""
        return tuple(part.name for part in self.parts)

    def table(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """(groups, size): what of every tensor belongs to a group, side by side."""
        tables = [part.table(tensors[part.name]) for part in self.parts]
        return tables[0] if len(tables) == 1 else torch.cat(tables, 1)

    def there(self, tensors: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> Tensor:
        """(groups, size) bool: what is a weight, no padding, and not removed."""
        shapes = {p.name: tensors[p.name] for p in self.parts}
        return self.table(
            {n: masks[n] if n in masks else torch.ones_like(t, dtype=torch.bool) for n, t in shapes.items()}
        )

    def left(self, tensors: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> Tensor:
        """(groups, parts) int64: how many weights of each tensor are still there in each group."""
        tables = []
        for part in self.parts:
            mask = masks.get(part.name)
            mask = torch.ones_like(tensors[part.name], dtype=torch.bool) if mask is None else mask
            tables.append(part.table(mask).sum(1))
        return torch.stack(tables, 1)

    def masks(self, stay: Tensor, keep: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The masks of its tensors where the groups (groups,) ``stay``; what ``keep`` removed stays removed."""
        found = {part.name: part.spread(stay[:, None]) for part in self.parts}
        return {name: mask & keep[name] if name in keep else mask for name, mask in found.items()}


@dataclass(frozen=True)
class Groups:
    """The groups of a model's weights. ``at_most`` of every group may go; where it is None a group goes as a whole.

    ``most`` is the highest sparsity that this allows, ``dense`` names the prunable weights that cannot be cut this way
    and so stay.
    """

    units: tuple[Unit, ...]
    at_most: int | None = None
    most: float = 1.0
    dense: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All weights that are in groups."""
        return tuple(name for unit in self.units for name in unit.names)

    def check(self, *sparsities: float) -> None:
        """Raise ConfigError where more is asked for than these groups allow."""
        if over := [s for s in sparsities if s > self.most]:
            raise ConfigError(f"sparsity must be at most {self.most:g} with this granularity, got {over[0]:g}.")

    def of(self, names: Mapping[str, object]) -> tuple[Unit, ...]:
        """The units whose weights are all among ``names``. Raises ConfigError where a weight is in none of them."""
        found = tuple(unit for unit in self.units if all(name in names for name in unit.names))
        there = {name for unit in found for name in unit.names}
        if lost := [name for name in names if name not in there]:
            raise ConfigError(f"{', '.join(lost)} cannot be cut into these groups; give the scores of {self.names}.")
        return found

    def scores(
        self, scores: Mapping[str, Tensor], masks: Mapping[str, Tensor], of_groups: OfGroups
    ) -> dict[str, Tensor]:
        """Scores of the weights' shapes in which every weight has the score of its group, as ``of_groups`` makes it."""
        found: dict[str, Tensor] = {}
        for unit in self.of(scores):
            tensors = {name: scores[name] for name in unit.names}
            score = of_groups(unit.table(tensors), unit.there(tensors, masks))[:, None]
            found |= {part.name: part.spread(score) for part in unit.parts}
        return found

    def protect(self, scores: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], int]:
        """Scores with infinity for those that must stay so that no group loses more than ``at_most``; and how many go.

        The lowest of each group may go, the first of equals first; what is removed already counts as lowest.
        """
        assert self.at_most is not None, "only a pattern protects"
        found, free = {}, 0
        for unit in self.of(scores):
            (part,) = unit.parts
            raw = {part.name: scores[part.name]}
            there = unit.there(raw, masks)
            table = unit.table(raw).masked_fill(~there, -math.inf)
            lowest = table.argsort(dim=1, stable=True)[:, : self.at_most]
            may = torch.zeros_like(there).scatter_(1, lowest, True)
            free += int((may & there).sum())
            found[part.name] = raw[part.name].masked_fill(~part.spread(may), math.inf)
        return found, free


def pick(score: Tensor, left: Tensor, remove: float) -> Tensor:
    """Which groups stay (groups,) when about ``remove`` weights go: the lowest ``score`` first, ties by position.

    ``left`` (groups,) is how many weights of each are still there; those without any have gone. As many groups go as
    come nearest to ``remove``; of two numbers that are equally near, the even one. Raises ConfigError for a nan.
    """
    stay = left > 0
    if bool((score.isnan() & stay).any()):
        raise ConfigError(NAN)
    order = score.argsort(stable=True)
    order = order[stay[order]]
    gone = F.pad(left[order].cumsum(0), (1, 0))  # after 0, 1, 2, ... groups
    off = (gone - remove).abs()
    # shares are floats: 0.3 of 10 is a little off
    nearest = (off <= off.min() + 1e-9 * remove).nonzero().reshape(-1).tolist()
    many = next((k for k in nearest if k % 2 == 0), nearest[0])
    stay[order[:many]] = False
    return stay


def _inverse(order: tuple[int, ...]) -> list[int]:
    return sorted(range(len(order)), key=order.__getitem__)
