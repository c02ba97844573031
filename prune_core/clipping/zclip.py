"""ZClip: only spikes are clipped, found by their z-score among the norms of late."""

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


@register(
    "zclip",
    label="ZClip, spikes only",
    formula=r"z_t = \frac{\lVert g_t \rVert - \mu_{t-1}}{\sigma_{t-1}}, \quad z_t > z^* \Rightarrow "
    r"\lVert g_t \rVert \leftarrow \mu_{t-1} + \frac{{z^*}^2}{z_t}\,\sigma_{t-1}",
    reference="Kumar, Owen, Roy Chowdhury, Güra 2025, arXiv:2504.02507",
)
class ZClip(ScalingStrategy):
    """Shortens the gradient only where its norm is a spike among those of late; the larger the spike, the more.

    During the first ``warmup`` steps nothing is clipped; their mean and population variance are where μ and σ² begin.
    From then on a norm whose z-score exceeds z* is shortened to μ + z*² σ / z: less than μ + z* σ, and towards μ for
    the largest. The norm that is left, x, moves the averages: μ ← αμ + (1−α)x, then σ² ← ασ² + (1−α)(x−μ)² with the
    new μ. Norms that are not finite move nothing. The authors' code adds 1e-6 to σ, and also clips by a norm of 1 from
    the first step; neither is done here: a chain of this one and a norm does the latter.
    """

    threshold_field: ClassVar[str] = "z_threshold"
    z_threshold: float = setting(
        2.5,
        gt=0,
        le=100,
        log=True,
        label="Threshold z*",
        help="Standard deviations above the mean from which a norm is a spike.",
    )
    alpha: float = setting(
        0.97, ge=0, lt=1, label="Memory α", help="Share of the averages that stays at each step.", advanced=True
    )
    warmup: int = setting(25, ge=1, le=10_000, unit="steps", help="First steps, which are only watched.", advanced=True)

    def init_state(self) -> dict[str, Any]:
        zero = torch.zeros((), dtype=torch.float64)
        return {"seen": zero, "mean": zero.clone(), "variance": zero.clone()}

    def state_after(self, norms: Sequence[float]) -> dict[str, Any]:
        # the same as below, in plain numbers: some hundred times as quick
        seen, mean, variance = 0, 0.0, 0.0
        for norm in np.array(norms, dtype=np.float32).astype(float).tolist():  # a gradient's precision
            if not math.isfinite(norm):
                continue
            over, warm = norm - mean, seen >= self.warmup
            spike = warm and over > self.z_threshold * math.sqrt(variance)
            left = mean + self.z_threshold**2 * variance / over if spike else norm
            keep = self.alpha if warm else seen / (seen + 1)
            before, mean = mean, keep * mean + (1 - keep) * left
            spread = (left - mean) ** 2 if warm else (left - before) * (left - mean)
            variance, seen = keep * variance + (1 - keep) * spread, seen + 1
        return {name: torch.tensor(float(v), dtype=torch.float64) for name, v in
                (("seen", seen), ("mean", mean), ("variance", variance))}  # fmt: skip

    def _factor(self, grads: FlatGradients, length: Tensor, state: dict[str, Any]) -> Tensor:
        norm = length.double()
        seen, mean, variance = (state[name].to(norm.device) for name in ("seen", "mean", "variance"))
        over, warm = norm - mean, seen >= self.warmup
        spike = warm & (over > self.z_threshold * variance.sqrt())
        # z*² σ / z, with z = over / σ: no division by a σ of 0, where every larger norm is a spike
        left = torch.where(spike, mean + self.z_threshold**2 * variance / over, norm)
        # in the warm-up running mean and population variance, by Welford's update; then moving averages
        keep = torch.where(warm, self.alpha, seen / (seen + 1))
        new_mean = keep * mean + (1 - keep) * left
        spread = torch.where(warm, (left - new_mean).square(), (left - mean) * (left - new_mean))
        new_variance = keep * variance + (1 - keep) * spread
        finite = torch.isfinite(norm)
        state["seen"] = seen + finite
        state["mean"] = torch.where(finite, new_mean, mean)
        state["variance"] = torch.where(finite, new_variance, variance)
        return torch.where(spike, left / norm, 1.0).to(grads.values.dtype)

    def filled(self, now: ClipNumbers) -> Pieces:
        limit, left = rf"z^* = {tex(self.z_threshold)}", rf"g \leftarrow {tex(now.left)} \cdot g"
        if not {"mean", "variance"} <= set(now.state):
            return limit, left
        mean, sigma = float(now.state["mean"]), math.sqrt(float(now.state["variance"]))
        if sigma <= 0:
            return limit, left
        z = rf"z = \frac{{{tex(now.before)} - {tex(mean)}}}{{{tex(sigma)}}} = {tex((now.before - mean) / sigma)}"
        return z, limit, left
