"""Pruning before training, without data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from prune_core.pruning.criteria.base import Criterion, Need
from prune_core.pruning.evidence import Evidence
from prune_core.registry import register
from prune_core.settings import setting


@register(
    "synflow",
    label="SynFlow",
    formula=r"s = \left| w \cdot \frac{\partial R}{\partial w} \right|,\; R = \mathbf{1}^\top f_{|\theta|}(\mathbf{1})",
    reference="Tanaka, Kunin, Yamins, Ganguli 2020, arXiv:2006.05467",
)
class SynFlow(Criterion):
    """Removes, before training and without looking at data, the weights on the weakest paths, a few in each round.

    In float64: the product over many layers overflows float32. Normalisation uses its running statistics.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"model"})
    before_training: ClassVar[bool] = True
    rounds: int = setting(100, ge=1, le=1000, unit="rounds", help="Rounds, scored anew in each.", advanced=True)

    def score(self, at: Evidence) -> Mapping[str, Tensor]:
        flow = at.flow()
        return {name: (w.double() * flow[name]).abs() for name, w in at.weights.items()}

    def rounds_to(self, sparsity: float) -> int:
        return self.rounds
