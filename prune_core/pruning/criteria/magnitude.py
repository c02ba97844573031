"""Pruning by magnitude."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from prune_core.formulas import SIZE
from prune_core.pruning.criteria.base import Criterion
from prune_core.pruning.evidence import Evidence
from prune_core.pruning.scores import AbsoluteValues
from prune_core.registry import register


@register(
    "magnitude",
    label="Magnitude",
    formula=r"s = |w|",
    reference="Han, Pool, Tran, Dally 2015, arXiv:1506.02626",
)
class Magnitude(Criterion):
    """Removes the weights closest to zero."""

    by_size: ClassVar[bool] = True
    symbol: ClassVar[str] = SIZE

    def score(self, at: Evidence) -> Mapping[str, Tensor]:
        return AbsoluteValues(at.weights)
