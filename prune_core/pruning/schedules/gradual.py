"""What gradual schedules share: a window of steps, and strides in it."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import model_validator

from prune_core.errors import ConfigError
from prune_core.formulas import Pieces, share, tex
from prune_core.pruning.schedules.base import Schedule
from prune_core.settings import setting


class Gradual(Schedule):
    """Sparsity that grows from ``initial`` at ``start`` to ``final`` at ``stop``. A member gives ``_share``.

    ``exponent`` is that of ``_share`` in the formula, as LaTeX; None where it is no power.
    """

    exponent: ClassVar[str | None] = None
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
    def _agree(self) -> Self:
        name = type(self).__name__
        if self.stop <= self.start:
            raise ConfigError(f"{name}.stop must be greater than start ({self.start}), got {self.stop}.")
        if self.initial > self.final:
            raise ConfigError(f"{name}.initial must be at most final ({self.final:g}), got {self.initial:g}.")
        return self

    def _share(self, left: float) -> float:
        """Which share of the way is left to go when ``left`` of the window is; falls from 1 to 0 as that does."""
        raise NotImplementedError

    def __call__(self, step: int) -> float:
        if step < self.start:
            return 0.0
        if step >= self.stop:
            return self.final
        updates = (step - self.start) // self.every  # between two removals nothing changes
        left = 1 - updates * self.every / (self.stop - self.start)
        return self.final + (self.initial - self.final) * self._share(left)

    def changes_at(self, step: int) -> bool:
        return step == self.stop or (self.start <= step < self.stop and (step - self.start) % self.every == 0)

    @property
    def end(self) -> int:
        return self.stop

    def filled(self, step: int) -> Pieces:
        if self.exponent is None or not self.start <= step < self.stop:
            return super().filled(step)
        at = step - (step - self.start) % self.every  # the last removal so far
        x = 1 - (at - self.start) / (self.stop - self.start)
        way = rf"({tex(self.initial)} - {tex(self.final)}) \cdot {tex(x)}{self.exponent}"
        return (
            rf"x = 1 - \frac{{{at} - {self.start}}}{{{self.stop} - {self.start}}} = {tex(x)}",
            rf"s_{{{step}}} = {tex(self.final)} + {way} = {share(self(step))}",
        )
