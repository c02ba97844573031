"""Clipping by the root mean square of each layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from prune_core.clipping.base import UnitScalingStrategy
from prune_core.clipping.gradients import FlatGradients
from prune_core.formulas import ClipNumbers, Pieces, tex, words
from prune_core.registry import register
from prune_core.settings import setting


@register(
    "block_rms",
    label="By RMS, layer by layer",
    formula=r"g_l \leftarrow \frac{g_l}{\max(1, \mathrm{RMS}(g_l) / \tau)}, \quad "
    r"\mathrm{RMS}(g) = \sqrt{\tfrac{1}{n} \textstyle\sum g_i^2}",
    reference="Shazeer, Stern 2018, arXiv:1804.04235; optax.clip_by_block_rms",
)
class BlockRMSClip(UnitScalingStrategy):
    """Shortens the gradient of every layer whose typical entry is above the threshold, whatever the layer's size.

    A layer is one parameter tensor. All its entries count, removed weights as zeros, so that pruning moves no limit.
    """

    threshold: float = setting(
        0.01, gt=0, le=1e6, log=True, help="Largest root mean square of a layer's entries.", label="Threshold τ"
    )

    def _factors(self, grads: FlatGradients, lengths: Tensor, state: dict[str, Any]) -> Tensor:
        limits = torch.tensor([self.threshold * g.numel() ** 0.5 for g in grads.layers]).to(lengths)
        return limits / torch.maximum(lengths, limits)

    def filled(self, now: ClipNumbers) -> Pieces:
        layer, limit = now.shortest, tex(self.threshold)
        if layer is None:
            return super().filled(now)
        rms = tex(layer.before / layer.size**0.5)
        return (
            rf"{words(f'{layer.name}:')} \; \mathrm{{RMS}}(g_l) = {rms}",
            rf"g_l \leftarrow \frac{{g_l}}{{\max(1, {rms} / {limit})}} = {tex(layer.left)} \cdot g_l",
        )
