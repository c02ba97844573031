"""Pruning by the length of groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from prune_core.pruning.criteria.base import Criterion
from prune_core.pruning.evidence import Evidence
from prune_core.registry import register


@register(
    "l2_norm",
    label="L2 norm",
    formula=r"s = w^2,\quad s_G = \lVert w_G \rVert_2 \,/ \sqrt{|G|}",
    reference="He, Kang, Dong, Fu, Yang 2018, arXiv:1808.06866; torch.nn.utils.prune.ln_structured with n = 2",
)
class L2Norm(Criterion):
    """Removes the groups of weights whose L2 norm is smallest for their size; for single weights, as magnitude does.

    In a layer whose groups are equally large the order is that of the plain norm.
    """

    by_size: ClassVar[bool] = True

    def score(self, at: Evidence) -> Mapping[str, Tensor]:
        return {name: w.double().square() for name, w in at.weights.items()}

    def of_groups(self, contributions: Tensor, there: Tensor) -> Tensor:
        return super().of_groups(contributions, there).sqrt()
