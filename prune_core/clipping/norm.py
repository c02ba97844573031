"""Clipping by norm."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import field_validator
from torch import Tensor

from prune_core.clipping.base import ScalingStrategy
from prune_core.clipping.gradients import EPSILON, FlatGradients, norm_order
from prune_core.formulas import ClipNumbers, Pieces, tex
from prune_core.registry import register
from prune_core.settings import setting


@register(
    "norm",
    label="By norm",
    formula=r"g \leftarrow g \cdot \min\left(1, \frac{c}{\lVert g \rVert_p + 10^{-6}}\right)",
    reference="Pascanu, Mikolov, Bengio 2013, arXiv:1211.5063; torch.nn.utils.clip_grad_norm_",
)
class NormClip(ScalingStrategy):
    """Shortens the gradient of all parameters together to at most max_norm; the direction stays."""

    threshold_field: ClassVar[str] = "max_norm"
    max_norm: float = setting(
        1.0, gt=0, le=1e6, log=True, help="Largest norm the gradient may keep.", label="Max. norm"
    )
    norm_type: Literal[1, 2, "inf"] = setting(
        2, help="Which norm is limited: 1 (sum), 2 (Euclidean) or inf (largest entry).", advanced=True
    )

    _number = field_validator("norm_type", mode="before")(norm_order)

    def _length(self, grads: FlatGradients) -> Tensor:
        return grads.norm()  # bitwise torch's, as its factor is made of it

    def _factor(self, grads: FlatGradients, length: Tensor, state: dict[str, Any]) -> Tensor:
        norm = length if self.norm_type == 2 else grads.norm(self.norm_type)
        return self.max_norm / (norm + EPSILON)

    def filled(self, now: ClipNumbers) -> Pieces:
        kind = {1: "1", 2: "2", "inf": r"\infty"}[self.norm_type]
        norm = rf"\lVert g \rVert_{{{kind}}}"
        if self.norm_type == 2:
            length: float | None = now.before
        elif now.entries is not None:
            sizes = np.abs(now.entries)
            length = float(sizes.sum(dtype=float) if self.norm_type == 1 else sizes.max(initial=0.0))
        else:  # a run records the Euclidean norm alone
            length = None
        factor = rf"\min\left(1, \frac{{{tex(self.max_norm)}}}{{{norm if length is None else tex(length)}}}\right)"
        return (rf"g \leftarrow g \cdot {factor} = {tex(now.left)} \cdot g",)
