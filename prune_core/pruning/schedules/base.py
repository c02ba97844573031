"""What a schedule is: sparsity as a pure function of the step."""

from __future__ import annotations

from typing import ClassVar, Self

from prune_core.formulas import Pieces, share
from prune_core.registry import Registered, Registry
from prune_core.settings import setting


class Schedule(Registered):
    """Sparsity in [0, 1) after so many updates. A member gives ``__call__``, ``changes_at`` and ``end``.

    Sparsity is of the whole, never of what is left: 0.9 is a tenth of the prunable weights kept, whatever went before.
    It must not fall: a weight that was removed stays removed.
    """

    registry: ClassVar[Registry[Schedule]] = Registry("pruning schedule")
    final: float = setting(0.9, ge=0, lt=1, help="Share of the prunable weights removed at the end.", label="Sparsity")

    def __call__(self, step: int) -> float:
        """The sparsity wanted after ``step`` updates; 0 is before the first."""
        raise NotImplementedError

    def changes_at(self, step: int) -> bool:
        """Whether weights may be removed after ``step`` updates."""
        raise NotImplementedError

    @property
    def end(self) -> int:
        """The last step at which it changes."""
        raise NotImplementedError

    def with_final(self, final: float) -> Self:
        """A copy that ends at another sparsity. Raises ConfigError outside its bounds."""
        return self.replace(final=final)

    def filled(self, step: int) -> Pieces:
        """The formula with the numbers of one step in it, as pieces of LaTeX; a member need not give it."""
        return (rf"s_{{{step}}} = {share(self(step))}",)
