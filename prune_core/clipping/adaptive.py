"""Adaptive gradient clipping (AGC): each output unit by the length of its own weights."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from prune_core.clipping.base import UnitScalingStrategy
from prune_core.clipping.gradients import FlatGradients, row_norms
from prune_core.formulas import ClipNumbers, Pieces, share, tex, words
from prune_core.registry import register
from prune_core.settings import setting


@register(
    "agc",
    label="Adaptive (AGC)",
    formula=r"G_i \leftarrow G_i \cdot \min\left(1, \lambda\,"
    r"\frac{\max(\lVert W_i \rVert, \epsilon)}{\lVert G_i \rVert}\right)",
    reference="Brock, De, Smith, Simonyan 2021, arXiv:2102.06171, section 4",
)
class AdaptiveClip(UnitScalingStrategy):
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

    def _rows(self, grads: FlatGradients) -> tuple[int, ...]:
        return tuple(w.shape[0] if w.ndim > 1 and w.numel() else 1 for w in grads.parameters)

    def _factors(self, grads: FlatGradients, lengths: Tensor, state: dict[str, Any]) -> Tensor:
        rows = self._rows(grads)
        cut = (w.detach().reshape(n, -1) for w, n in zip(grads.parameters, rows, strict=True))
        limits = self.clipping * torch.cat([row_norms(w).to(lengths) for w in cut]).clamp(min=self.eps)
        factors = limits / torch.maximum(lengths, limits)
        own = factors.split(rows)
        for i in last_layer(grads) if self.skip_last else ():
            own[i].fill_(1.0)
        return factors

    def filled(self, now: ClipNumbers) -> Pieces:
        limit = rf"\lVert G_i \rVert \le {tex(self.clipping)} \cdot \max(\lVert W_i \rVert, {tex(self.eps)})"
        layer = now.shortest
        if layer is None:
            return (limit,)
        return limit, rf"{words(f'{layer.name}:')} \; {share(layer.left)} \text{{ of the length left}}"


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
