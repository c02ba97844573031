"""Clipping by value."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from prune_core.clipping import probing, quick
from prune_core.clipping.base import ClipStrategy
from prune_core.clipping.gradients import FlatGradients
from prune_core.clipping.report import ClipReport, report_sums
from prune_core.formulas import ClipNumbers, Pieces, tex
from prune_core.registry import register
from prune_core.settings import setting


@register(
    "value",
    label="By value",
    formula=r"g_i \leftarrow \min(\max(g_i, -\alpha), \alpha)",
    reference="Mikolov 2012, thesis, section 3.2; torch.nn.utils.clip_grad_value_",
)
class ValueClip(ClipStrategy):
    """Limits every entry of the gradient to [−threshold, threshold]; this turns the direction."""

    threshold: float = setting(
        0.01, gt=0, le=1e6, log=True, help="Largest absolute value an entry may keep.", label="Threshold α"
    )

    def clip_flat_(self, grads: FlatGradients, state: dict[str, Any], *, layers: bool = True) -> ClipReport:
        if not quick.takes(grads.values):
            return super().clip_flat_(grads, state, layers=layers)
        return report_sums(quick.clamp_(grads.values, grads.ends, self.threshold), grads, layers=layers)

    def probe(self, grads: FlatGradients, state: dict[str, Any]) -> Callable[[float], ClipReport]:
        if not probing.takes(grads):
            return super().probe(grads, state)
        ordered = probing.Sorted(grads)

        def at(threshold: float) -> ClipReport:
            return report_sums(ordered.sums(self.with_threshold(threshold).threshold), grads, layers=True)

        return at

    def _apply_(self, grads: FlatGradients, state: dict[str, Any]) -> None:
        grads.values.clamp_(-self.threshold, self.threshold)

    def filled(self, now: ClipNumbers) -> Pieces:
        limit = tex(self.threshold)
        pieces = (rf"g_i \leftarrow \min(\max(g_i, -{limit}), {limit})",)
        if now.entries is None or not len(now.entries):
            return pieces
        largest = float(now.entries[np.argmax(np.abs(now.entries))])
        left = math.copysign(min(abs(largest), self.threshold), largest)
        return (*pieces, rf"\text{{largest: }} {{{tex(largest)}}} \to {{{tex(left)}}}")
