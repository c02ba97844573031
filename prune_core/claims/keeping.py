"""What the claims about keeping the largest weights have in common: a criterion against chance, at one budget."""

from __future__ import annotations

from typing import Any, ClassVar

import pandas as pd
from pydantic import field_validator

from prune_core.claims.base import Arm, Claim, Picture, Verdict
from prune_core.claims.runs import arms_of, places_of, values
from prune_core.claims.settings import gradually, numbers
from prune_core.claims.words import listed, percent, span
from prune_core.comparing import Against, against, holm
from prune_core.pruning import Criterion, Random
from prune_core.settings import setting

CHANCE = "kept at random"
LEAST: float = 0.01  # one point


class Keeping(Claim):
    """Prunes by ``criterion`` and at random to the same sparsities. A member gives ``statement`` and ``criterion``."""

    ALPHA: ClassVar[float] = 0.05
    criterion: ClassVar[Criterion]
    kept: ClassVar[str] = ""
    """What the arm with the criterion is called."""

    rule: ClassVar[str] = (
        f"It helps at a sparsity if accuracy is more than {100 * LEAST:g} point above that of as many weights kept at "
        "random, seed by seed (one-sided paired t-test, 5 %, Holm-corrected over sparsities). The claim holds if it "
        "helps at every sparsity, depends if at some, and does not hold if at every one the 95 % interval of the gain "
        "lies below that."
    )
    pictures: ClassVar[tuple[Picture, ...]] = (
        Picture("curve", ("accuracy",), "What is kept matters: the largest weights against chance", "weights removed",
                "test accuracy", unit="%", scale="left"),
    )  # fmt: skip

    seeds: int = setting(8, ge=2, le=30, unit="seeds", help="Times everything is repeated, from other initial weights.")
    sparsities: tuple[float, ...] = setting(
        (0.5, 0.8, 0.9, 0.95, 0.98), help="Shares of the weights that are removed, one run each and way."
    )

    @field_validator("sparsities", mode="before")
    @classmethod
    def _some(cls, given: Any) -> tuple[float, ...]:
        return numbers(f"{cls.__name__}.sparsities", given, 0, 1)

    def arms(self) -> list[Arm]:
        ways: list[tuple[str, Any, Criterion]] = [
            (CHANCE, "baseline", Random()), (self.kept, "pruning", self.criterion)
        ]  # fmt: skip
        return [
            Arm(name, idea, {"prune": gradually(criterion, s, self.steps)}, s)
            for name, idea, criterion in ways
            for s in self.sparsities
        ]

    def gains(self, table: pd.DataFrame) -> tuple[dict[float, Against], set[float]]:
        """The gain over chance at each sparsity, and the sparsities at which it is shown."""
        places = places_of(table, "accuracy", CHANCE)
        found = {
            s: against(values(table, "accuracy", self.kept, s) - values(table, "accuracy", CHANCE, s), LEAST)
            for s in places
        }
        corrected = holm([one.p_above for one in found.values()])
        return found, {s for s, p in zip(found, corrected, strict=True) if p < self.ALPHA}

    def judge(self, table: pd.DataFrame) -> Verdict:
        assert self.kept in arms_of(table, "accuracy"), "the table is of this claim"
        found, helps = self.gains(table)
        best = max(found, key=lambda s: found[s].mean)
        n = min(one.n for one in found.values())
        said = f"at {percent(best, 0)} removed it gains {span(found[best])} over chance, {n} seeds"
        if len(helps) == len(found):
            return Verdict("holds", f"It helps at every sparsity: {said}.")
        if helps:
            others = [f"{percent(s, 0)} ({span(found[s])})" for s in found if s not in helps]
            return Verdict(
                "depends", f"{said[0].upper()}{said[1:]}; not shown at {listed(others)}.",
                on=f"how much is removed: it helps at {listed(percent(s, 0) for s in sorted(helps))}",
            )  # fmt: skip
        if all(one.high < LEAST for one in found.values()):
            return Verdict("does not hold", f"It gains nothing worth a point: {said}.")
        return Verdict("not decided", f"A gain is neither shown nor ruled out: {said}.")

    def formula(self, table: pd.DataFrame) -> str:
        found, _ = self.gains(table)
        place = max(found, key=lambda at: found[at].mean)
        a, b = values(table, "accuracy", self.kept, place).mean(), values(table, "accuracy", CHANCE, place).mean()
        score = Criterion.registry[self.criterion.registered_as].formula
        return (
            rf"{score}, \quad a - a_{{\mathrm{{random}}}} = {100 * a:.1f}\,\% - {100 * b:.1f}\,\%"
            rf" = {100 * (a - b):.1f} \text{{ points at sparsity }} {place:g}"
        )
