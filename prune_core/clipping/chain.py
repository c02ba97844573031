"""Two clipping strategies, one after the other."""

from __future__ import annotations

from typing import Any, Self

from pydantic import model_validator

from prune_core.clipping.base import ClipStrategy
from prune_core.clipping.gradients import FlatGradients
from prune_core.clipping.norm import NormClip
from prune_core.clipping.value import ValueClip
from prune_core.errors import ConfigError
from prune_core.formulas import ClipNumbers, Pieces, tex
from prune_core.registry import Registered, register
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

    @model_validator(mode="after")
    def _of_the_mean(self) -> Chain:
        for name in ("first", "second"):
            if getattr(self, name).per_sample:
                raise ConfigError(
                    f"Chain.{name} must clip the gradient of the whole batch, got "
                    f"{type(getattr(self, name)).__name__}, which clips that of each example; use it alone."
                )
        return self

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

    @property
    def parts(self) -> list[Registered]:
        """Itself and its members, theirs included."""
        return [self, *self.first.parts, *self.second.parts]

    def init_state(self) -> dict[str, Any]:
        """A state for each."""
        return {"first": self.first.init_state(), "second": self.second.init_state()}

    def _apply_(self, grads: FlatGradients, state: dict[str, Any]) -> None:
        self.first._apply_(grads, state["first"])
        self.second._apply_(grads, state["second"])

    def filled(self, now: ClipNumbers) -> Pieces:
        first = rf"c_1(g) \text{{ at }} {tex(self.first.threshold)}"
        return first, rf"g \leftarrow c_2(c_1(g)) \text{{ at }} {tex(self.second.threshold)}"
