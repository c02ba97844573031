"""What pruning costs in accuracy, and from which sparsity on."""

from __future__ import annotations

from typing import Any, ClassVar

import pandas as pd
from pydantic import field_validator

from prune_core.claims.base import Arm, Claim, Picture, Verdict
from prune_core.claims.runs import places_of, values
from prune_core.claims.settings import gradually, numbers
from prune_core.claims.words import changed, listed, percent, points
from prune_core.comparing import Against, against, holm
from prune_core.pruning import Criterion, Magnitude
from prune_core.registry import register
from prune_core.settings import setting

PLAIN, PRUNED = "not pruned", "pruned"


@register(
    "pruning_costs",
    label="Pruning costs accuracy",
    formula=r"\Delta(s) = \overline{a_0 - a_s}",
    reference="Han et al. 2015, arXiv:1506.02626; Holm 1979 for several sparsities at once",
)
class PruningCosts(Claim):
    """Prunes to several sparsities and compares each run with the unpruned one of the same seed."""

    TOLERANCE: ClassVar[float] = 0.01  # one point: smaller losses are within what a few test images make of it
    ALPHA: ClassVar[float] = 0.05

    statement: ClassVar[str] = "Pruning costs accuracy."
    rule: ClassVar[str] = (
        f"A sparsity costs if its loss of accuracy against the same seeds without pruning is above {100 * TOLERANCE:g} "
        "point (one-sided paired t-test, 5 %, Holm-corrected over sparsities); it is free if the 95 % interval of the "
        "loss lies below that. The claim holds if every sparsity costs, does not hold if every one is free, and "
        "depends if some cost and others do not."
    )
    explanation: ClassVar[str] = (
        "A network has more weights than its task needs. While those go, training makes up for them; beyond, "
        "accuracy falls ever faster."
    )
    pictures: ClassVar[tuple[Picture, ...]] = (
        Picture("curve", ("accuracy",), "What pruning costs: test accuracy as more goes", "weights removed",
                "test accuracy", unit="%", scale="left"),
    )  # fmt: skip

    seeds: int = setting(8, ge=2, le=30, unit="seeds", help="Times everything is repeated, from other initial weights.")
    criterion: Criterion = setting(Magnitude(), help="How much a weight matters; the lowest are removed first.")
    sparsities: tuple[float, ...] = setting(
        (0.5, 0.8, 0.9, 0.95, 0.98, 0.99), help="Shares of the weights that are removed, one run each."
    )

    @field_validator("sparsities", mode="before")
    @classmethod
    def _some(cls, given: Any) -> tuple[float, ...]:
        return numbers("PruningCosts.sparsities", given, 0, 1)

    def arms(self) -> list[Arm]:
        pruned = [
            Arm(PRUNED, "pruning", {"prune": gradually(self.criterion, s, self.steps)}, s) for s in self.sparsities
        ]
        return [Arm(PLAIN, "baseline", {}, 0.0), *pruned]

    def losses(self, table: pd.DataFrame) -> tuple[dict[float, Against], set[float]]:
        """The loss at each sparsity, and the sparsities at which it is shown to be above the tolerance."""
        plain = values(table, "accuracy", PLAIN)
        places = places_of(table, "accuracy", PRUNED)
        found = {s: against(plain - values(table, "accuracy", PRUNED, s), self.TOLERANCE) for s in places}
        corrected = holm([one.p_above for one in found.values()])
        return found, {s for s, p in zip(found, corrected, strict=True) if p < self.ALPHA}

    def judge(self, table: pd.DataFrame) -> Verdict:
        found, costs = self.losses(table)
        free = {s for s, one in found.items() if one.high < self.TOLERANCE}
        unclear = sorted(set(found) - costs - free)
        worst = max(found, key=lambda s: found[s].mean)
        n = min(one.n for one in found.values())
        said = f"{percent(worst, 0)} removed {changed(found[worst])}, {n} seeds"
        if len(costs) == len(found):
            first = min(found)
            return Verdict("holds", f"Already {percent(first, 0)} removed {changed(found[first])}, {n} seeds.")
        if len(free) == len(found):
            return Verdict("does not hold", f"No sparsity costs more than {points(self.TOLERANCE, 0)}: {said}.")
        left = f"; at {listed(percent(s, 0) for s in unclear)} the seeds do not decide" if unclear else ""
        if costs:
            first = min(costs)
            spared = [s for s in free if s < first]
            up_to = f"up to {percent(max(spared), 0)} it is free, " if spared else ""
            start = "" if first == worst else f"{percent(first, 0)} removed {changed(found[first])}; "
            return Verdict(
                "depends", f"{start}{said}{left}.",
                on=f"how much is removed: {up_to}from {percent(first, 0)} on it costs",
            )  # fmt: skip
        limit = points(self.TOLERANCE, 0)
        return Verdict("not decided", f"A loss above {limit} is neither shown nor ruled out: {said}{left}.")

    def formula(self, table: pd.DataFrame) -> str:
        found, _ = self.losses(table)
        s = max(found)
        a, b = values(table, "accuracy", PLAIN).mean(), values(table, "accuracy", PRUNED, s).mean()
        return (
            rf"\Delta({s:g}) = \overline{{a_0 - a_{{{s:g}}}}} = {100 * a:.1f}\,\% - {100 * b:.1f}\,\%"
            rf" = {100 * (a - b):.1f} \text{{ points}}"
        )
