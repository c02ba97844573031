"""Adaptive gradient clipping (AGC): each output unit by the length of its own weights."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from prune_core.clipping.base import ClipStrategy
from prune_core.clipping.gradients import LARGE, FlatGradients
from prune_core.registry import register
from prune_core.settings import setting


@register(
    "agc",
    label="Adaptive (AGC)",
    formula=r"G_i \leftarrow G_i \cdot \min\left(1, \lambda\,"
    r"\frac{\max(\lVert W_i \rVert, \epsilon)}{\lVert G_i \rVert}\right)",
    reference="Brock, De, Smith, Simonyan 2021, arXiv:2102.06171, section 4",
)
class AdaptiveClip(ClipStrategy):
    """Limits how far a step can move each output unit, as a share of the length of that unit's weights.

    A unit is row i of a weight: its norms go over dimensions 1 and up. A bias, a gain or a scalar is one unit as a
    whole. The classifier is left out as the authors do: ``last_layer`` says which parameters that are.
    """

    threshold_field: ClassVar[str] = "clipping"
    clipping: float = setting(
        0.01,
        gt=0,
        le=1e6,
        log=True,
        label="Clipping λ",
        help="Largest norm of a unit's gradient, in norms of its weights.",
    )
    eps: float = setting(
        1e-3,
        gt=0,
        le=1,
        log=True,
        help="Norm that weights of a smaller norm count as, so that they can grow.",
        advanced=True,
    )
    skip_last: bool = setting(
        True, label="Leave the last layer", help="Leave out the classifier, as the authors do.", advanced=True
    )

    def _apply_(self, grads: FlatGradients, state: dict[str, Any]) -> None:
        left_out = last_layer(grads) if self.skip_last else frozenset()
        for i, (weight, gradient) in enumerate(zip(grads.parameters, grads.layers, strict=True)):
            if i in left_out or not weight.numel():
                continue
            rows = weight.shape[0] if weight.ndim > 1 else 1
            units = gradient.view(rows, -1)
            limit = self.clipping * _row_norms(weight.detach().reshape(rows, -1).to(units)).clamp(min=self.eps)
            norms = _row_norms(units)
            units.mul_((limit / torch.maximum(norms, limit)).to(units.dtype).unsqueeze(1))


def last_layer(grads: FlatGradients) -> frozenset[int]:
    """Places of the parameters of the last layer: those named like the last matrix (``fc.weight`` → ``fc.…``).

    In a network without matrices it is the last convolution. Where names have no module in them, as with
    ``model.parameters()``, it is that weight and all that follow.
    """
    sizes = [p.ndim for p in grads.parameters]
    places = [i for i, n in enumerate(sizes) if n == 2] or [i for i, n in enumerate(sizes) if n > 2]
    if not places:
        return frozenset()
    module, dot, _ = grads.names[places[-1]].rpartition(".")
    if not dot:
        return frozenset(range(places[-1], len(sizes)))
    return frozenset(i for i, name in enumerate(grads.names) if name.rpartition(".")[0] == module)


def _row_norms(rows: Tensor) -> Tensor:
    """L2 norms (n,) of a matrix (n, m), in float64 where float32 squares overflow."""
    norms: Tensor = torch.linalg.vector_norm(rows, dim=1)
    if norms.is_cpu and norms.numel() and float(norms.max()) < LARGE:
        return norms
    safe: Tensor = torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64)
    return safe
