"""Layer-adaptive magnitude."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from prune_core.pruning import quick
from prune_core.pruning.criteria.base import Criterion
from prune_core.pruning.evidence import Evidence
from prune_core.pruning.order import rising
from prune_core.registry import register


@register(
    "lamp",
    label="LAMP",
    formula=r"s_u = w_u^2 \,/ \sum_{v:\, |w_v| \ge |w_u|} w_v^2 \quad (u, v \;\text{in one layer})",
    reference="Lee, Park, Mo, Ahn, Shin 2021, arXiv:2010.07611",
)
class LAMP(Criterion):
    """Removes weights that are small beside those of their layer that would stay; no layer is ever emptied.

    The largest weight of every layer scores 1. Equal weights are taken in their order, as in the paper.
    """

    by_size: ClassVar[bool] = True

    def score(self, at: Evidence) -> Mapping[str, Tensor]:
        one = quick.lamp if quick.pays(at.weights) else _lamp
        return {name: one(w) for name, w in at.weights.items()}


def _lamp(weight: Tensor) -> Tensor:
    sizes, places = rising(weight.abs().reshape(-1))  # their squares order alike
    squares = sizes.double().square()
    rest = squares.flip(0).cumsum(0).flip(0)  # of this one and all that are not smaller
    scores = torch.empty_like(squares).scatter_(0, places, torch.where(rest > 0, squares / rest, 0.0))
    return scores.view(weight.shape)
