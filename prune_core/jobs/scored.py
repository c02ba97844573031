"""A model's scores under one criterion and granularity, and what answers for any sparsity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from prune_core.pruning import (
    Criterion,
    Evidence,
    GroupIndex,
    Groups,
    Masks,
    Scope,
    WeightIndex,
    make_masks,
    score,
)
from prune_core.pruning.sensitivity import lowest

MOST = 1 - 1e-9  # a threshold above every weight: make_masks wants less than 1


@dataclass(frozen=True)
class Scored:
    """Scores by weight, and what answers for any sparsity; where weights go together also in which groups.

    Where only some of every group may go, the others' scores are infinite; ``raw`` are the scores before that.
    """

    scores: Mapping[str, Tensor]
    index: WeightIndex | GroupIndex
    groups: Groups | None
    keep: Mapping[str, Tensor]
    raw: Mapping[str, Tensor]

    @classmethod
    def of(cls, criterion: Criterion, at: Evidence, groups: Groups | None) -> Scored:
        """Score what ``at`` shows; what its masks removed stays removed."""
        weights, keep, raw = at.weights, at.masks, score(criterion, at, groups)
        if groups is not None and groups.at_most is None:
            return cls(raw, GroupIndex(weights, raw, keep, groups), groups, keep, raw)
        scores = groups.protect(raw, keep)[0] if groups is not None else raw
        return cls(scores, WeightIndex(weights, scores, keep), groups, keep, raw)

    @property
    def most(self) -> float:
        """The highest sparsity that there is an answer for."""
        return MOST if self.groups is None else min(self.groups.most, MOST)

    def masks(self, removed: Mapping[str, int], sparsity: float, scope: Scope, layer: str = "") -> Masks:
        """The masks that leave out ``removed`` weights of each layer, of ``layer`` alone or of all."""
        if self.groups is not None and self.groups.at_most is None:  # a group may reach over several weights
            return make_masks(
                self.scores, sparsity, scope, keep=self.keep, groups=self.groups, curves=self.index.curves
            )
        masks: Masks = {}
        for name in [layer] if layer else removed:
            masks |= lowest(name, self.scores[name], removed[name], self.keep)
        return masks


@dataclass(frozen=True)
class Plan:
    """What goes: ``removed`` weights of each layer, up to which ``thresholds``, at the whole's ``sparsity``."""

    scored: Scored
    sparsity: float
    removed: dict[str, int]
    thresholds: dict[str, float | None]
