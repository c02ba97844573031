"""Does clipping make a model smaller, or cheaper to train or to run?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import pandas as pd
import torch

from prune_core.claims.base import Arm, Claim, Picture, Verdict
from prune_core.claims.runs import Run, row, values
from prune_core.claims.words import listed, times
from prune_core.clipping import ClipStrategy, ValueClip
from prune_core.comparing import Against, against
from prune_core.measuring import PairedTime, compare, interleaved
from prune_core.registry import register
from prune_core.settings import setting
from prune_core.training import stepper

PLAIN, CLIPPED = "without clipping", "with clipping"
COUNTED = {"parameters": "parameters", "nonzero": "non-zero parameters", "kept_macs": "MACs", "dense_bytes": "bytes"}
TIMED = {"latency": "latency", "step": "training step"}


@register(
    "clipping_shrinks",
    label="Clipping makes models smaller",
    formula=r"\rho = \frac{n_{\mathrm{clipped}}}{n_{\mathrm{baseline}}}",
    reference="Pascanu, Mikolov, Bengio 2013, arXiv:1211.5063: clipping changes a gradient, and nothing else",
)
class ClippingShrinks(Claim):
    """Counts parameters, MACs and bytes after training with and without clipping, and times both in turns."""

    LESS: ClassVar[float] = 0.98  # of the baseline: what is nearer to 1 is no saving worth the name

    statement: ClassVar[str] = "Clipping gradients reduces the number of parameters, compute and run time."
    rule: ClassVar[str] = (
        "A figure counts as reduced if the 95 % interval over seeds of the ratio clipped ÷ baseline lies below "
        f"{LESS:g}. The claim holds if all six are reduced, does not hold if none is, and depends otherwise."
    )
    explanation: ClassVar[str] = (
        "Clipping limits how far one update goes. The update still reaches every parameter, so that none is removed: "
        "the same tensors are stored, and the same multiplications made."
    )
    pictures: ClassVar[tuple[Picture, ...]] = (
        Picture(
            kind="dots",
            measures=(*COUNTED, *(f"{name} ratio" for name in TIMED)),
            title="What clipping saves: the clipped model relative to the baseline",
            x="clipped ÷ baseline",
            relative_to=PLAIN,
            line=LESS,
            line_name="reduced, left of here",
        ),
    )
    looks: ClassVar[bool] = True
    measuring_s: ClassVar[float] = 5.0

    clip: ClipStrategy = setting(ValueClip(threshold=0.01), label="Clipping", help="How gradients are clipped.")

    def arms(self) -> list[Arm]:
        return [Arm(PLAIN, "baseline"), Arm(CLIPPED, "clipping", {"clip": self.clip})]

    def measure(self, runs: Sequence[Run]) -> pd.DataFrame:
        found = [self.recorded(runs, ("accuracy", *COUNTED))]
        by_seed = {(run.arm.name, run.seed): run for run in runs}
        budget = self.measuring_s / 2 / self.seeds
        for seed in sorted({run.seed for run in runs}):
            pair = {name: by_seed[name, seed] for name in (PLAIN, CLIPPED)}
            x = torch.randn(1, *self.data.info.shape, generator=torch.Generator().manual_seed(seed))
            passes = compare({name: run.load()[0] for name, run in pair.items()}, x, rounds=400, budget_s=budget)
            steps = interleaved(
                {name: stepper(run.experiment) for name, run in pair.items()}, rounds=400, budget_s=budget
            )
            found += [_times(pair, passes, "latency"), _times(pair, steps, "step")]
        return pd.concat(found, ignore_index=True)

    def judge(self, table: pd.DataFrame) -> Verdict:
        ratios = {name: self._ratio(table, name) for name in (*COUNTED, *TIMED)}
        titles = COUNTED | TIMED
        less = [name for name, ratio in ratios.items() if ratio.high < self.LESS]
        said = listed(f"{titles[name]} {times(ratios[name])}" for name in ("nonzero", "kept_macs", "latency", "step"))
        if len(less) == len(ratios):
            return Verdict("holds", f"All six figures fell: {said}.")
        if less:
            kept = listed(titles[name] for name in ratios if name not in less)
            what = listed(titles[name] for name in less)
            return Verdict("depends", f"Reduced: {what}; not: {kept}.", on=f"what is counted: {what} fell, {kept} not")
        removed = values(table, "nonzero", PLAIN) - values(table, "nonzero", CLIPPED)
        gone = "no parameter" if (removed == 0).all() else f"{abs(removed.mean()):.1f} parameters on average"
        return Verdict("does not hold", f"Clipping removed {gone}; clipped ÷ baseline: {said}.")

    def _ratio(self, table: pd.DataFrame, measure: str) -> Against:
        if measure in TIMED:  # compared round by round: both were slowed by whatever else the machine did
            return against(values(table, f"{measure} ratio", CLIPPED), self.LESS)
        return against(values(table, measure, CLIPPED) / values(table, measure, PLAIN), self.LESS)

    def formula(self, table: pd.DataFrame) -> str:
        a, b = values(table, "nonzero", CLIPPED).mean(), values(table, "nonzero", PLAIN).mean()
        return (
            r"\rho = \frac{n_{\mathrm{clipped}}}{n_{\mathrm{baseline}}}"
            rf" = \frac{{{a:.0f}}}{{{b:.0f}}} = {a / b:.4g}"
        )


def _times(pair: dict[str, Run], found: dict[str, PairedTime], measure: str) -> pd.DataFrame:
    rows = [row(run, measure, found[name].median_ms, "ms") for name, run in pair.items()]
    rows += [row(run, f"{measure} ratio", found[name].ratio, "×") for name, run in pair.items()]
    return pd.DataFrame(rows)
