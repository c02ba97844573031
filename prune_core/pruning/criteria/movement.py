"""Pruning by where training takes a weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from prune_core.pruning.criteria.base import Criterion, Need
from prune_core.pruning.evidence import Evidence
from prune_core.registry import register


@register(
    "movement",
    label="Movement",
    formula=r"s = -\sum_t w_t \, g_t",
    reference="Sanh, Wolf, Rush 2020, arXiv:2005.07683",
)
class Movement(Criterion):
    """Removes the weights that training moves towards zero, however large they still are."""

    needs: ClassVar[frozenset[Need]] = frozenset({"training"})

    def score(self, at: Evidence) -> Mapping[str, Tensor]:
        return at.movement
