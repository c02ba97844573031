"""Clipping by the norm of each layer."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import field_validator
from torch import Tensor

from prune_core.clipping.base import UnitScalingStrategy
from prune_core.clipping.gradients import EPSILON, FlatGradients, norm_order
from prune_core.formulas import ClipNumbers, Pieces, tex, words
from prune_core.registry import register
from prune_core.settings import setting


@register(
    "layer_norm",
    label="By norm, layer by layer",
    formula=r"g_l \leftarrow g_l \cdot \min\left(1, \frac{c}{\lVert g_l \rVert_p + 10^{-6}}\right)",
    reference="torch.nn.utils.clip_grad_norm_ of each parameter alone",
)
class LayerNormClip(UnitScalingStrategy):
    """Shortens the gradient of every layer to at most max_norm; large layers no longer drown small ones.

    A layer is one parameter tensor: a weight and its bias count apart. Within a layer the direction stays; that of the
    whole gradient turns where some layers are shortened and others are not.
    """

    threshold_field: ClassVar[str] = "max_norm"
    max_norm: float = setting(
        1.0,
        gt=0,
        le=1e6,
        log=True,
        help="Largest norm the gradient of one layer may keep.",
        label="Max. norm of a layer",
    )
    norm_type: Literal[1, 2, "inf"] = setting(
        2, help="Which norm is limited: 1 (sum), 2 (Euclidean) or inf (largest entry).", advanced=True
    )

    _number = field_validator("norm_type", mode="before")(norm_order)

    def _lengths(self, grads: FlatGradients, rows: tuple[int, ...]) -> Tensor:
        return grads.layer_norms()  # bitwise torch's, as the factors are made of them

    def _factors(self, grads: FlatGradients, lengths: Tensor, state: dict[str, Any]) -> Tensor:
        norms = lengths if self.norm_type == 2 else grads.layer_norms(self.norm_type)
        return (self.max_norm / (norms + EPSILON)).clamp(max=1.0)

    def filled(self, now: ClipNumbers) -> Pieces:
        layer, limit = now.shortest, tex(self.max_norm)
        if layer is None:
            return super().filled(now)
        norm = tex(layer.before) if self.norm_type == 2 else r"\lVert g_l \rVert"
        factor = rf"\min\left(1, \frac{{{limit}}}{{{norm}}}\right)"
        return words(f"{layer.name}:"), rf"g_l \leftarrow g_l \cdot {factor} = {tex(layer.left)} \cdot g_l"
