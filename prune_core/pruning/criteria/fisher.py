"""Pruning by curvature."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from prune_core.pruning.criteria.base import DataCriterion, examples_setting
from prune_core.pruning.evidence import Evidence
from prune_core.registry import register


@register(
    "fisher",
    label="Fisher, diagonal",
    formula=r"s = \tfrac{1}{2} w^2 \, \mathbb{E}_n\left[ g_n^2 \right]",
    reference="LeCun, Denker, Solla 1990, Optimal Brain Damage; Theis et al. 2018, arXiv:1801.05787",
)
class Fisher(DataCriterion):
    """Removes the weights whose removal changes the loss least, to second order.

    The curvature is the empirical Fisher information: squares of each example's own gradient, with the true labels.
    """

    examples: int = examples_setting(128)

    def score(self, at: Evidence) -> Mapping[str, Tensor]:
        squares = at.squared_gradients(self.examples)
        return {name: 0.5 * w.square() * squares[name] for name, w in at.weights.items()}
