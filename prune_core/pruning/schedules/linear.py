"""As many at every step."""

from __future__ import annotations

from typing import ClassVar

from prune_core.pruning.schedules.gradual import Gradual
from prune_core.registry import register


@register(
    "linear",
    label="Gradual, linear",
    formula=r"s_t = s_f + (s_i - s_f)\left(1 - \frac{t - t_0}{t_1 - t_0}\right)",
    reference="The ramp that the cubic one is compared with; Zhu, Gupta 2017, arXiv:1710.01878",
)
class Linear(Gradual):
    """Removes as many weights at every step."""

    exponent: ClassVar[str | None] = ""

    def _share(self, left: float) -> float:
        return left
