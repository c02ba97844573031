"""Pruning by what the loss would do."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from prune_core.pruning.criteria.base import DataCriterion
from prune_core.pruning.evidence import Evidence
from prune_core.registry import register


@register(
    "taylor",
    label="Taylor, first order",
    formula=r"s = |w \cdot g|",
    reference="Molchanov, Tyree, Karras, Aila, Kautz 2017, arXiv:1611.06440",
)
class Taylor(DataCriterion):
    """Removes the weights whose removal changes the loss least, to first order."""

    def score(self, at: Evidence) -> Mapping[str, Tensor]:
        grads = at.gradients(self.examples)
        return {name: (w * grads[name]).abs() for name, w in at.weights.items()}
