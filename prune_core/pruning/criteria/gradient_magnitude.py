"""Pruning by the gradient: what "clipping as pruning" would have to mean."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from prune_core.pruning.criteria.base import DataCriterion
from prune_core.pruning.evidence import Evidence
from prune_core.registry import register


@register(
    "gradient_magnitude",
    label="Gradient magnitude",
    formula=r"s = |g|",
    reference="A control: what removing weights by a clip of their gradients would mean",
)
class GradientMagnitude(DataCriterion):
    """Removes the weights whose gradient is closest to zero, however large they are."""

    def score(self, at: Evidence) -> Mapping[str, Tensor]:
        return {name: g.abs() for name, g in at.gradients(self.examples).items()}
