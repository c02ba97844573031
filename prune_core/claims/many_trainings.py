"""What it takes to reach one sparsity: one training, a little more, or many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pandas as pd

from prune_core.claims.base import Arm, Claim, Picture, Verdict
from prune_core.claims.runs import Run, arms_of, row, values
from prune_core.claims.settings import within
from prune_core.claims.words import SPACE, changed, listed
from prune_core.comparing import against
from prune_core.pruning import Iterative, OneShot, Pruning, Schedule
from prune_core.registry import register
from prune_core.settings import setting

DENSE = "dense, not pruned"


@register(
    "many_trainings",
    label="Pruning needs many trainings",
    formula=r"c = \frac{t_{\mathrm{way}}}{t_{\mathrm{dense}}}",
    reference="Zhu & Gupta 2017, arXiv:1710.01878; Han et al. 2015, arXiv:1506.02626; "
    "Frankle & Carbin 2019, arXiv:1803.03635; Renda et al. 2020, arXiv:2003.02389",
)
class ManyTrainings(Claim):
    """Prunes to one sparsity in four ways, and takes the seconds that each one trained."""

    TOLERANCE: ClassVar[float] = 0.01
    CHEAP: ClassVar[float] = 1.5  # trainings

    statement: ClassVar[str] = "Pruning needs many trainings."
    rule: ClassVar[str] = (
        "A way suffices if the 95 % interval of its loss of accuracy against the dense network lies below "
        f"{100 * TOLERANCE:g} point, and fails if it lies above; it is cheap if it makes at most {CHEAP:g} times the "
        "updates of one dense training. The claim does not hold if a cheap way suffices, holds if only dear ones do, "
        "and depends on the sparsity if all fail."
    )
    explanation: ClassVar[str] = (
        "Pruning while the network trains costs hardly more than training it. Many rounds, or going back to the start "
        "after each, pay off where very little is to be left."
    )
    pictures: ClassVar[tuple[Picture, ...]] = (
        Picture("dots", ("seconds",), "What each way takes: seconds of training", "seconds of training", unit="s"),
        Picture("dots", ("trainings",), "What each way takes: updates of the weights, in dense trainings",
                "updates ÷ updates of one dense training", line=CHEAP, line_name="cheap, left of here"),
        Picture("dots", ("accuracy",), "What each way leaves of the accuracy", "test accuracy", unit="%"),
    )  # fmt: skip
    share: ClassVar[bool] = False
    reads: ClassVar[tuple[str, ...]] = ("accuracy", "seconds", "sparsity")

    seeds: int = setting(
        10, ge=2, le=30, unit="seeds", help="Times everything is repeated, from other initial weights."
    )
    sparsity: float = setting(0.9, gt=0, lt=1, help="Share of the weights that every way removes.")
    rounds: int = setting(5, ge=2, le=20, unit="rounds", help="Removals of the iterative ways.")
    tuning: float = setting(
        0.25, gt=0, le=1, unit="trainings", label="Fine-tuning", help="Training after a removal, by one training.",
        advanced=True,
    )  # fmt: skip

    def arms(self) -> list[Arm]:
        n, tune = self.steps, max(1, round(self.tuning * self.steps))
        k = self.rounds
        return [
            Arm(DENSE, "baseline"),
            self._arm("gradual, within one training", n, within(self.sparsity, n)),
            self._arm("one shot, then fine-tuning", n + tune, OneShot(final=self.sparsity, at=n)),
            self._arm(
                f"iterative, {k} rounds", n + k * tune,
                Iterative(final=self.sparsity, rounds=k, first=n, between=tune),
            ),
            self._arm(
                f"rewinding, {k} rounds", n + k * n,
                Iterative(final=self.sparsity, rounds=k, first=n, between=n), rewind=True,
            ),
        ]  # fmt: skip

    def _arm(self, name: str, steps: int, schedule: Schedule, rewind: bool = False) -> Arm:
        early = max(1, self.steps // 20)
        more: dict[str, Any] = {"rewind": "weights", "rewind_to": early} if rewind else {}
        return Arm(name, "pruning", {"prune": Pruning(schedule=schedule, **more), "train.steps": steps})

    def measure(self, runs: Sequence[Run]) -> pd.DataFrame:
        trainings = [row(run, "trainings", run.experiment.train.steps / self.steps, "trainings") for run in runs]
        return pd.concat([self.recorded(runs, self.reads), pd.DataFrame(trainings)], ignore_index=True)

    def judge(self, table: pd.DataFrame) -> Verdict:
        dense = values(table, "accuracy", DENSE)
        ways = [name for name in arms_of(table, "accuracy") if name != DENSE]
        loss = {name: against(dense - values(table, "accuracy", name), self.TOLERANCE) for name in ways}
        cost = {name: float(values(table, "trainings", name).mean()) for name in ways}
        brief = {
            name: f"“{name}” ({cost[name]:.3g}{SPACE}× the updates, "
            f"{values(table, 'seconds', name).mean():.2g}{SPACE}s, {changed(loss[name])})"
            for name in ways
        }
        enough = [name for name in ways if loss[name].high < self.TOLERANCE]
        failed = [name for name in ways if loss[name].low > self.TOLERANCE]
        cheap = [name for name in ways if cost[name] <= self.CHEAP]
        took = f"one dense training takes {values(table, 'seconds', DENSE).mean():.2g}{SPACE}s; {dense.size} seeds"
        if good := [name for name in enough if name in cheap]:
            name = min(good, key=cost.__getitem__)
            start = "One training suffices" if cost[name] <= 1 else "Little more than one training suffices"
            return Verdict("does not hold", f"{start}: {brief[name]}; {took}.")
        if len(failed) == len(ways):
            best = min(ways, key=lambda way: loss[way].mean)
            return Verdict(
                "depends", f"Here no way suffices, not even {brief[best]}; {took}.",
                on="the sparsity: at this one even many trainings do not suffice",
            )  # fmt: skip
        if enough and all(name in failed for name in cheap):
            return Verdict("holds", f"Only dear ways suffice: {listed(brief[name] for name in enough)}; {took}.")
        unclear = [name for name in ways if name not in enough and name not in failed]
        return Verdict("not decided", f"The seeds do not decide on {listed(brief[n] for n in unclear)}; {took}.")

    def formula(self, table: pd.DataFrame) -> str:
        dense = values(table, "seconds", DENSE).mean()
        ways = [name for name in arms_of(table, "seconds") if name != DENSE]
        parts = []
        for name in (ways[0], ways[-1]):
            own, label = values(table, "seconds", name).mean(), name.partition(",")[0]
            ratio = rf"\frac{{{own:.2f}\,\mathrm{{s}}}}{{{dense:.2f}\,\mathrm{{s}}}}"
            parts.append(rf"c_{{\mathrm{{{label}}}}} = {ratio} = {own / dense:.2f}")
        return r", \quad ".join(parts)
