"""Two clipping strategies, one after the other."""

from __future__ import annotations

from typing import Any, Self

from prune_core.clipping.base import ClipStrategy
from prune_core.clipping.gradients import FlatGradients
from prune_core.clipping.norm import NormClip
from prune_core.clipping.value import ValueClip
from prune_core.registry import register
from prune_core.settings import setting


@register(
    "chain",
    label="Two in a row",
    formula=r"g \leftarrow c_2(c_1(g))",
    reference="optax.chain",
)
class Chain(ClipStrategy):
    """Clips twice, in order: what the first strategy leaves is clipped by the second. The report is of both together.

    Chains nest, for three and more. A slider in mid-run moves the threshold of the second.
    """

    first: ClipStrategy = setting(ValueClip(), help="What clips the gradient as it comes.")
    second: ClipStrategy = setting(NormClip(), help="What clips what the first one leaves.")

    @property
    def threshold_field(self) -> str:  # type: ignore[override]
        """The second strategy's own: ``second.max_norm``."""
        return f"second.{self.second.threshold_field}"

    @property
    def threshold(self) -> float:
        """The second strategy's."""
        return self.second.threshold

    def with_threshold(self, value: float) -> Self:
        """A copy in which the second strategy has another threshold. Raises ConfigError outside its bounds."""
        return self.replace(second=self.second.with_threshold(value))

    def init_state(self) -> dict[str, Any]:
        """A state for each."""
        return {"first": self.first.init_state(), "second": self.second.init_state()}

    def _apply_(self, grads: FlatGradients, state: dict[str, Any]) -> None:
        self.first._apply_(grads, state["first"])
        self.second._apply_(grads, state["second"])
