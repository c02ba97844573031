"""What a slider needs where weights go in groups: the same answers as those of ``WeightIndex``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from prune_core.pruning.allocation import allocate_groups, sparsity_where
from prune_core.pruning.granularity import Groups
from prune_core.pruning.granularity.groups import pick
from prune_core.pruning.index import Histogram, histogram_of
from prune_core.pruning.masks import Scope, check_sparsity, comparable
from prune_core.pruning.tolerance import LossCurve

MOST = 1 - 1e-9  # at which all goes that may


@dataclass(frozen=True)
class _Rows:
    """One unit: its weights' names, the score (g,) of each group, and what is left of each weight in it (g, names)."""

    names: tuple[str, ...]
    score: Tensor
    left: Tensor

    @property
    def weights(self) -> Tensor:
        """(g,) weights left in each group, all names together."""
        return self.left.sum(1)


class GroupIndex:
    """The scores of a model's groups: any sparsity is answered by choosing among groups, no mask is made.

    ``scores`` has the score of its group for every weight. What it says is exactly what ``make_masks`` does with
    ``groups``. Thresholds are scores of groups. ``curves`` are for the scope "sensitivity" and may be set later.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        scores: Mapping[str, Tensor],
        keep: Mapping[str, Tensor],
        groups: Groups,
        curves: Mapping[str, LossCurve] | None = None,
    ) -> None:
        self.curves = curves
        self.shapes = {name: tuple(w.shape) for name, w in weights.items()}
        self.sizes = {name: w.numel() for name, w in weights.items()}
        self.total = sum(self.sizes.values())
        self._histograms = {name: histogram_of(w.detach()) for name, w in weights.items()}
        self._rows = []
        for unit in groups.of(weights):
            score = comparable(unit.parts[0].table(scores[unit.names[0]])[:, 0])
            self._rows.append(_Rows(unit.names, score.cpu(), unit.left(scores, keep).cpu()))
        there = {name: int(n) for rows in self._rows for name, n in zip(rows.names, rows.left.sum(0), strict=True)}
        self._gone = {name: n - there[name] for name, n in self.sizes.items()}

    def removed_at(self, sparsity: float, scope: Scope = "global") -> dict[str, int]:
        """How many weights of each layer are gone at ``sparsity``, those removed earlier included."""
        stay = self._stay(sparsity, scope)
        return self._gone | {
            name: self.sizes[name] - int(n)
            for rows, kept in zip(self._rows, stay, strict=True)
            for name, n in zip(rows.names, rows.left[kept].sum(0), strict=True)
        }

    def thresholds_at(self, sparsity: float, scope: Scope = "global") -> dict[str, float]:
        """The highest score removed, of all groups or of each layer's; minus infinity where none is."""
        stay = self._stay(sparsity, scope)
        highest = [
            float(gone.max()) if len(gone := rows.score[~kept & (rows.weights > 0)]) else -math.inf
            for rows, kept in zip(self._rows, stay, strict=True)
        ]
        if scope == "global":
            highest = [max(highest)] * len(highest)
        return {name: t for rows, t in zip(self._rows, highest, strict=True) for name in rows.names}

    def sparsity_for(self, threshold: float, scope: Scope, layer: str) -> float:
        """The sparsity at which the groups of ``layer``, with "global" of all, go that score at most ``threshold``."""
        looked = self._rows if scope == "global" else [rows for rows in self._rows if layer in rows.names]
        total = sum(self.sizes[name] for rows in looked for name in rows.names)
        left = sum(int(rows.weights[rows.score > threshold].sum()) for rows in looked)
        if scope in ("global", "layer"):
            return (total - left) / total

        def gone(sparsity: float) -> int:
            removed = self.removed_at(min(sparsity, MOST), scope)
            return sum(removed[name] for name in looked[0].names)

        return sparsity_where(gone, total - left)

    def largest(self, layer: str = "") -> float:
        """The highest score, of one layer or of all: the threshold that takes everything."""
        found = [rows.score.max() for rows in self._rows if len(rows.score) and (not layer or layer in rows.names)]
        return max(map(float, found), default=0.0)

    def histogram(self, layer: str) -> Histogram:
        """The weights of one layer in 80 equal bins up to the largest |w|."""
        return self._histograms[layer]

    def _stay(self, sparsity: float, scope: Scope) -> list[Tensor]:
        """Which groups of each unit stay."""
        check_sparsity(sparsity)
        by_names = {rows.names: rows for rows in self._rows}
        stay: dict[tuple[str, ...], Tensor] = {}
        for names, remove in allocate_groups(by_names, self.shapes, sparsity, self._gone, scope, curves=self.curves):
            looked = [rows for rows in self._rows if rows.names[0] in names]
            found = pick(torch.cat([r.score for r in looked]), torch.cat([r.weights for r in looked]), remove)
            stay |= zip([r.names for r in looked], torch.split(found, [len(r.score) for r in looked]), strict=True)
        return [stay[names] for names in by_names]
