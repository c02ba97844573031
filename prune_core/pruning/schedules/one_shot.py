"""Everything at once."""

from __future__ import annotations

from prune_core.formulas import Pieces, share
from prune_core.pruning.schedules.base import Schedule
from prune_core.registry import register
from prune_core.settings import setting


@register(
    "one_shot",
    label="One shot",
    formula=r"s_t = s_f \;\text{for}\; t \ge t_0",
    reference="Han, Pool, Tran, Dally 2015, arXiv:1506.02626 (one round)",
)
class OneShot(Schedule):
    """Removes the whole share at one step; 0 is before training."""

    at: int = setting(0, ge=0, le=10_000_000, unit="steps", help="Step after which the weights are removed.")

    def __call__(self, step: int) -> float:
        return self.final if step >= self.at else 0.0

    def changes_at(self, step: int) -> bool:
        return step == self.at

    @property
    def end(self) -> int:
        return self.at

    def filled(self, step: int) -> Pieces:
        order = rf"\ge {self.at}" if step >= self.at else rf"< {self.at}"
        return (rf"s_{{{step}}} = {share(self(step))} \;\text{{ as }}\; {step} {order}",)
