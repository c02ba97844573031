"""In rounds, with training between."""

from __future__ import annotations

from pydantic import model_validator

from prune_core.errors import ConfigError
from prune_core.formulas import Pieces, share, tex
from prune_core.pruning.schedules.base import Schedule
from prune_core.registry import register
from prune_core.settings import setting


@register(
    "iterative",
    label="In rounds",
    formula=r"1 - s_k = (1 - s_f)^{k/n},\quad k = 1 \dots n",
    reference="Han, Pool, Tran, Dally 2015, arXiv:1506.02626; Renda, Frankle, Carbin 2020, arXiv:2003.02389",
)
class Iterative(Schedule):
    """Removes in rounds, each time the same share of the weights that are left, and trains between.

    The first round is at ``first``, each further one ``between`` steps later; training goes on after the last.
    """

    rounds: int = setting(4, ge=1, le=1000, unit="rounds", help="Number of removals.")
    first: int = setting(100, ge=0, le=10_000_000, unit="steps", help="Step of the first removal.")
    between: int = setting(75, ge=1, le=10_000_000, unit="steps", help="Steps of training between two removals.")

    @model_validator(mode="after")
    def _fits(self) -> Iterative:
        if self.end > 10_000_000:
            raise ConfigError(f"Iterative must end by step 10,000,000, got {self.end:,}; use fewer rounds or steps.")
        return self

    def __call__(self, step: int) -> float:
        if step < self.first:
            return 0.0
        made = min((step - self.first) // self.between + 1, self.rounds)
        return self.final if made == self.rounds else 1 - float((1 - self.final) ** (made / self.rounds))

    def changes_at(self, step: int) -> bool:
        return self.first <= step <= self.end and (step - self.first) % self.between == 0

    @property
    def end(self) -> int:
        return self.first + (self.rounds - 1) * self.between

    def filled(self, step: int) -> Pieces:
        if step < self.first:
            return super().filled(step)
        made = min((step - self.first) // self.between + 1, self.rounds)
        left = rf"1 - s_{{{made}}} = (1 - {tex(self.final)})^{{{made}/{self.rounds}}}"
        return left, rf"s_{{{made}}} = {share(self(step))}"
