"""Fast at first, slower towards the end."""

from __future__ import annotations

from pydantic import model_validator

from prune_core.errors import ConfigError
from prune_core.pruning.schedules.base import Schedule
from prune_core.registry import register
from prune_core.settings import setting


@register(
    "cubic",
    label="Gradual, cubic",
    formula=r"s_t = s_f + (s_i - s_f)\left(1 - \frac{t - t_0}{t_1 - t_0}\right)^3",
    reference="Zhu, Gupta 2017, arXiv:1710.01878",
)
class Cubic(Schedule):
    """Removes many weights while most are redundant, and few towards the end, so that training can follow."""

    start: int = setting(100, ge=0, le=10_000_000, unit="steps", help="Step at which pruning begins.")
    stop: int = setting(300, ge=1, le=10_000_000, unit="steps", help="Step at which the final sparsity is reached.")
    every: int = setting(
        1,
        ge=1,
        le=10_000_000,
        unit="steps",
        help="Steps between two removals; the last is always at stop.",
        advanced=True,
    )
    initial: float = setting(0.0, ge=0, lt=1, help="Share removed at the start.", advanced=True)

    @model_validator(mode="after")
    def _agree(self) -> Cubic:
        if self.stop <= self.start:
            raise ConfigError(f"Cubic.stop must be greater than start ({self.start}), got {self.stop}.")
        if self.initial > self.final:
            raise ConfigError(f"Cubic.initial must be at most final ({self.final:g}), got {self.initial:g}.")
        return self

    def __call__(self, step: int) -> float:
        if step < self.start:
            return 0.0
        if step >= self.stop:
            return self.final
        updates = (step - self.start) // self.every  # between two removals nothing changes
        left = 1 - updates * self.every / (self.stop - self.start)
        return self.final + (self.initial - self.final) * left**3

    def changes_at(self, step: int) -> bool:
        return step == self.stop or (self.start <= step < self.stop and (step - self.start) % self.every == 0)

    @property
    def end(self) -> int:
        return self.stop
