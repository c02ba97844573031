"""Pruning before training, so that the gradient keeps flowing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from prune_core.pruning.criteria.base import DataCriterion, examples_setting
from prune_core.pruning.evidence import Evidence
from prune_core.registry import register
from prune_core.settings import setting


@register(
    "grasp",
    label="GraSP",
    formula=r"s = w \cdot (H g)",
    reference="Wang, Zhang, Grosse 2020, arXiv:2002.07376",
)
class GraSP(DataCriterion):
    """Removes, before training, the weights without which the gradient is longest.

    The paper removes the highest -w·(Hg); scores here are removed from the lowest on, so the sign is turned.
    """

    before_training: ClassVar[bool] = True
    examples: int = examples_setting(256)
    temperature: float = setting(
        200.0, gt=0, le=1e6, log=True, help="Divides the network's scores: nearly uniform guesses.", advanced=True
    )

    def score(self, at: Evidence) -> Mapping[str, Tensor]:
        curved = at.hessian_gradient(self.examples, self.temperature)
        return {name: w * curved[name] for name, w in at.weights.items()}
