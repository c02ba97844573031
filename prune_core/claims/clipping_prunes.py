"""Does clipping prune? Zeros and near-zeros after training, and what a gradient's size says of a weight's worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pandas as pd
from pydantic import field_validator

from prune_core.claims.base import Arm, Claim, Picture, Verdict
from prune_core.claims.runs import Run, arms_of, row, values
from prune_core.claims.settings import numbers
from prune_core.claims.words import changed, listed, percent
from prune_core.clipping import ValueClip
from prune_core.comparing import against
from prune_core.pruning import Criterion, GradientMagnitude, Magnitude, OneShot, Pruning, prunable
from prune_core.registry import register
from prune_core.settings import setting

PLAIN = "without clipping"
BY_WEIGHT, BY_GRADIENT = "pruned by |w|", "pruned by |g|"


@register(
    "clipping_prunes",
    label="Clipping is pruning",
    formula=r"z = \frac{\#\{w = 0\}}{\#\{w\}}",
    reference="Pascanu, Mikolov, Bengio 2013, arXiv:1211.5063; Han et al. 2015, arXiv:1506.02626",
)
class ClippingPrunes(Claim):
    """Looks for weights that are zero, or nearly, after training with clipping, and prunes beside it to compare."""

    SOME: ClassVar[float] = (
        0.01  # of the weights: what a method must remove more than the baseline to be called pruning
    )

    statement: ClassVar[str] = "Clipping gradients is a pruning method."
    rule: ClassVar[str] = (
        "A threshold prunes if clipping at it leaves more weights exactly zero than training without clipping: by over "
        f"{100 * SOME:g} % of the weights, with 95 % confidence over seeds. The claim holds if every threshold does, "
        "does not hold if none does, and depends otherwise. Weights near zero are shown, and do not count: "
        "they are still there."
    )
    explanation: ClassVar[str] = (
        "A clipped gradient makes a smaller or turned step, and hardly ever one that ends at exactly zero. Where "
        "clipping is strong, weights stay near where they began. And a small gradient says that a weight need not "
        "move, not that it can go."
    )
    pictures: ClassVar[tuple[Picture, ...]] = (
        Picture("dots", ("zero",), "Weights that are exactly zero: only pruning makes them", "weights exactly zero",
                unit="%", line=SOME, line_name="pruning, right of here"),
        Picture("dots", ("near zero",), "Weights that are near zero, and still there", "weights near zero",
                unit="%"),
        Picture("dots", ("accuracy",), "What each way leaves of the accuracy", "test accuracy", unit="%"),
    )  # fmt: skip
    looks: ClassVar[bool] = True
    measuring_s: ClassVar[float] = 1.0

    thresholds: tuple[float, ...] = setting(
        (0.001, 0.01, 0.1), help="Thresholds of clipping by value, one arm each.", label="Clip thresholds"
    )
    near: float = setting(
        0.001, gt=0, le=1, log=True, label="Near zero", help="A weight counts as near zero below this size."
    )
    sparsity: float = setting(0.8, gt=0, lt=1, help="Share of weights that the two pruned arms remove.")

    @field_validator("thresholds", mode="before")
    @classmethod
    def _some(cls, given: Any) -> tuple[float, ...]:
        return numbers("ClippingPrunes.thresholds", given, 0, 1e6)

    def arms(self) -> list[Arm]:
        clipped = [
            Arm(f"clipped at {t:g}", "clipping", {"clip": ValueClip(threshold=t)}) for t in self.thresholds
        ]  # fmt: skip
        return [
            Arm(PLAIN, "baseline"), *clipped,
            Arm(BY_WEIGHT, "pruning", {"prune": self._prune(Magnitude())}),
            Arm(BY_GRADIENT, "pruning", {"prune": self._prune(GradientMagnitude())}),
        ]  # fmt: skip

    def _prune(self, criterion: Criterion) -> Pruning:
        return Pruning(criterion=criterion, schedule=OneShot(final=self.sparsity, at=self.steps * 3 // 4))

    def measure(self, runs: Sequence[Run]) -> pd.DataFrame:
        rows = []
        for run in runs:
            weights = prunable(run.load()[0])
            n = sum(w.numel() for w in weights.values())
            zero = sum(int((w == 0).sum()) for w in weights.values())
            near = sum(int((w.abs() < self.near).sum()) for w in weights.values())
            rows += [row(run, "zero", zero / n, "share"), row(run, "near zero", (near - zero) / n, "share")]
            rows.append(row(run, "accuracy", run.recorded("accuracy")))
        return pd.DataFrame(rows)

    def judge(self, table: pd.DataFrame) -> Verdict:
        plain = values(table, "zero", PLAIN)
        names = [name for name in arms_of(table, "zero") if name.startswith("clipped")]
        found = {name: against(values(table, "zero", name) - plain, self.SOME) for name in names}
        prunes = [name for name, one in found.items() if one.low > self.SOME]
        most = max(float(values(table, "zero", name).mean()) for name in names)
        pruned = float(values(table, "zero", BY_WEIGHT).mean())
        cost = against(values(table, "accuracy", BY_WEIGHT) - values(table, "accuracy", BY_GRADIENT), 0.0)
        by_gradient = f"pruning by |g| instead of |w| {changed(cost)}"
        few = f"at most {percent(most, 2)} of the weights are" if most else "no weight is"
        said = f"{few} zero after clipping, {percent(pruned)} of them are after pruning"
        if len(prunes) == len(found):
            return Verdict("holds", f"Every threshold leaves zeros: {said}.")
        if prunes:
            return Verdict(
                "depends", f"{listed(prunes).capitalize()} leaves zeros: {said}.", on="the threshold"
            )  # fmt: skip
        if any(one.high > self.SOME for one in found.values()):
            return Verdict("not decided", f"The seeds differ too much: {said}.")
        return Verdict("does not hold", f"{said[0].upper()}{said[1:]}; {by_gradient} at that budget.")

    def formula(self, table: pd.DataFrame) -> str:
        name = next(n for n in arms_of(table, "zero") if n.startswith("clipped"))
        clipped, pruned = values(table, "zero", name).mean(), values(table, "zero", BY_WEIGHT).mean()
        at = name.removeprefix("clipped at ")
        return (
            rf"z = \frac{{\#\{{w = 0\}}}}{{\#\{{w\}}}}, \quad z_{{\mathrm{{clipped\ at\ }}{at}}} = {clipped:.4g},"
            rf" \quad z_{{\mathrm{{pruned}}}} = {pruned:.3g}"
        )
