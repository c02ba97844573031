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
    formula=r"s = |w \cdot g|,\quad s_G = \left(\textstyle\sum_{i \in G} w_i g_i\right)^2",
    reference="Molchanov, Tyree, Karras, Aila, Kautz 2017, arXiv:1611.06440; groups: Molchanov et al. 2019, "
    "arXiv:1906.10771",
)
class Taylor(DataCriterion):
    """Removes the weights whose removal changes the loss least, to first order."""

    def score(self, at: Evidence) -> Mapping[str, Tensor]:
        return {name: change.abs() for name, change in self.contributions(at).items()}

    def contributions(self, at: Evidence) -> Mapping[str, Tensor]:
        grads = at.gradients(self.examples)
        return {name: w * grads[name] for name, w in at.weights.items()}

    def of_groups(self, contributions: Tensor, there: Tensor) -> Tensor:
        # changes of the loss that cancel out are none; not divided by the size, since the sum is what the loss does
        return contributions.where(there, 0).sum(1).square()
