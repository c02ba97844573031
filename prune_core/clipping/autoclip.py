"""AutoClip: the limit is a percentile of all gradient norms so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from prune_core.clipping.base import ScalingStrategy
from prune_core.clipping.gradients import FlatGradients
from prune_core.formulas import ClipNumbers, Pieces, tex
from prune_core.registry import register
from prune_core.settings import setting

FIRST = 64  # norms that fit before the history grows for the first time


@register(
    "autoclip",
    label="AutoClip, by percentile",
    formula=r"g_t \leftarrow g_t \cdot \min\left(1, \frac{P_p(\lVert g_1 \rVert, \dots, \lVert g_t \rVert)}"
    r"{\lVert g_t \rVert}\right)",
    reference="Seetharaman, Wichern, Pardo, Le Roux 2020, arXiv:2007.14469",
)
class AutoClip(ScalingStrategy):
    """Shortens the gradient to a percentile of the norms seen so far: the limit sets itself and follows the run.

    The current norm is among them, so that the first gradient passes as it is. Between two norms the percentile is
    linear, as numpy's is. Norms that are not finite are not remembered. A norm at or under the limit is not touched: no
    1e-6 is added, because here limits are as small as gradients get.
    """

    threshold_field: ClassVar[str] = "percentile"
    percentile: float = setting(
        10.0, gt=0, le=100, log=True, unit="%", help="Share of the norms so far that lie at or under the limit."
    )

    def init_state(self) -> dict[str, Any]:
        # norms: ascending, inf where none stands yet; steps: how many were offered; seen: how many of them are finite
        return {
            "norms": torch.full((FIRST,), math.inf, dtype=torch.float64),
            "steps": 0,
            "seen": torch.zeros((), dtype=torch.int64),
        }

    def state_after(self, norms: Sequence[float]) -> dict[str, Any]:
        seen = np.array(norms, dtype=np.float32).astype(float)  # a gradient's precision
        seen = np.sort(seen[np.isfinite(seen)])
        size = FIRST
        while size < len(norms):
            size *= 2
        state = self.init_state()
        state["norms"] = torch.full((size,), math.inf, dtype=torch.float64)
        state["norms"][: len(seen)] = torch.from_numpy(seen)
        return {**state, "steps": len(norms), "seen": torch.tensor(len(seen))}

    def _factor(self, grads: FlatGradients, length: Tensor, state: dict[str, Any]) -> Tensor:
        device, finite = length.device, torch.isfinite(length)
        norms, seen = state["norms"].to(device), state["seen"].to(device) + finite
        if state["steps"] == len(norms):
            norms = torch.cat([norms, torch.full_like(norms, math.inf)])
        new = torch.where(finite, length.double(), math.inf)
        # insertion without a look at where: all that is larger moves up by one
        norms[1:] = torch.minimum(norms[1:], torch.maximum(norms[:-1], new))
        norms[0] = torch.minimum(norms[0], new)
        state.update(norms=norms, steps=state["steps"] + 1, seen=seen)
        limit = _percentile(norms, seen, self.percentile)
        return torch.where(length <= limit, 1.0, limit / length).to(grads.values.dtype)

    def filled(self, now: ClipNumbers) -> Pieces:
        many = rf"\text{{{now.norms} norms}}" if now.norms is not None else r"\lVert g_1 \rVert, \dots"
        # a norm under the percentile is left alone, and does not say where that is
        limit = rf"= {tex(now.after)}" if now.left < 1 else rf"\ge {tex(now.before)}"
        left = rf"g \leftarrow {tex(now.left)} \cdot g"
        return rf"P_{{{tex(self.percentile)}}}({many}) {limit}", rf"\lVert g \rVert = {tex(now.before)}", left


def _percentile(ascending: Tensor, n: Tensor, percent: float) -> Tensor:
    """The percentile of the first ``n`` entries, linear between two of them; 0-dim. inf where n is 0."""
    place = (n - 1).clamp(min=0).double() * (percent / 100)
    below = place.floor().long()
    pair = torch.take(ascending, torch.stack([below, torch.minimum(below + 1, (n - 1).clamp(min=0))]))
    return torch.where(n > 0, pair[0] + (place - below) * (pair[1] - pair[0]), math.inf)
