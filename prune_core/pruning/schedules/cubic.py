"""Fast at first, slower towards the end."""

from __future__ import annotations

from typing import ClassVar

from prune_core.pruning.schedules.gradual import Gradual
from prune_core.registry import register


@register(
    "cubic",
    label="Gradual, cubic",
    formula=r"s_t = s_f + (s_i - s_f)\left(1 - \frac{t - t_0}{t_1 - t_0}\right)^3",
    reference="Zhu, Gupta 2017, arXiv:1710.01878",
)
class Cubic(Gradual):
    """Removes many weights while most are redundant, and few towards the end, so that training can follow."""

    exponent: ClassVar[str | None] = "^3"

    def _share(self, left: float) -> float:
        return left**3
