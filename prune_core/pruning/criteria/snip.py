"""Pruning before training, by connection sensitivity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from prune_core.pruning.criteria.base import DataCriterion, examples_setting
from prune_core.pruning.evidence import Evidence
from prune_core.registry import register


@register(
    "snip",
    label="SNIP",
    formula=r"s_j = \frac{|w_j g_j|}{\sum_k |w_k g_k|}",
    reference="Lee, Ajanthan, Torr 2019, arXiv:1810.02340",
)
class SNIP(DataCriterion):
    """Removes, before training, the weights that the loss of a few examples feels least."""

    before_training: ClassVar[bool] = True
    examples: int = examples_setting(128)

    def score(self, at: Evidence) -> Mapping[str, Tensor]:
        grads = at.gradients(self.examples)
        felt = {name: (w * grads[name]).abs() for name, w in at.weights.items()}
        total = torch.stack([s.double().sum() for s in felt.values()]).sum()
        return {name: (s / torch.where(total > 0, total, 1.0)).to(s.dtype) for name, s in felt.items()}
