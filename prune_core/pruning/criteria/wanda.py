"""Pruning by weights and activations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from prune_core.pruning.criteria.base import DataCriterion
from prune_core.pruning.evidence import Evidence
from prune_core.pruning.inputs import sees_inputs
from prune_core.pruning.order import rising
from prune_core.registry import register


@register(
    "wanda",
    label="Wanda",
    formula=r"s_{ij} = \operatorname{rank}_{j}\left( |w_{ij}| \cdot \lVert x_j \rVert_2 \right)",
    reference="Sun, Liu, Bair, Kolter 2023, arXiv:2306.11695",
)
class Wanda(DataCriterion):
    """Removes from every output the weights that pass on least of what comes in.

    Compared are weights of one output only: the score is the rank within it, as a share of its inputs.
    """

    within_outputs: ClassVar[bool] = True

    def can_score(self, layer: nn.Module) -> bool:
        return sees_inputs(layer)

    def score(self, at: Evidence) -> Mapping[str, Tensor]:
        norms = at.input_norms(self.examples)
        return {name: _ranks(w.abs() * norms[name]) for name, w in at.weights.items()}


def _ranks(scores: Tensor) -> Tensor:
    rows = scores.flatten(1)
    ranks = torch.arange(rows.shape[1], device=rows.device, dtype=torch.float32) / rows.shape[1]
    _, places = rising(rows)
    return torch.empty_like(rows, dtype=torch.float32).scatter_(1, places, ranks.expand_as(rows)).view(scores.shape)
