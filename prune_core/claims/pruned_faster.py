"""Is a pruned model faster? As it is under its mask, with sparse matrices, and with neurons or channels taken out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import pandas as pd
import torch
from torch import nn

from prune_core.claims.base import Arm, Claim, Picture, Verdict
from prune_core.claims.runs import Run, arms_of, row, values
from prune_core.claims.settings import gradually
from prune_core.claims.words import listed, times
from prune_core.comparing import Against, against
from prune_core.errors import ModelError
from prune_core.measuring import check_alike, compare, masked, remove_outputs, sparse
from prune_core.models import MLP, ModelSource
from prune_core.pruning import Magnitude
from prune_core.registry import register
from prune_core.settings import setting

DENSE, MASKED, SPARSE, SMALLER = "dense", "masked", "sparse (CSR)", "outputs taken out"
PRUNED = "pruned"


@register(
    "pruned_faster",
    label="Pruned models are faster",
    formula=r"\rho = \frac{t_{\mathrm{pruned}}}{t_{\mathrm{dense}}}",
    reference="Fang et al. 2023, DepGraph, arXiv:2301.12900; timed in turns on this machine, one thread",
)
class PrunedFaster(Claim):
    """Times one model in four forms, in turns, after checking that each form answers as it should."""

    FASTER: ClassVar[float] = 0.95  # of the dense time
    BATCHES: ClassVar[tuple[int, ...]] = (1, 64)

    statement: ClassVar[str] = "A pruned model is faster."
    rule: ClassVar[str] = (
        "A form is faster at a batch size if the 95 % interval over seeds of the ratio of its time to that of the "
        f"dense model lies below {FASTER:g}. The claim holds if every form is faster at every batch size, does not "
        "hold if none is at any, and depends otherwise."
    )
    explanation: ClassVar[str] = (
        "A zero is multiplied like any other number. Time is saved where zeros are left out: by a sparse format once "
        "few enough are left and enough examples come at once, or by taking whole neurons or channels out, so that "
        "the matrices themselves are smaller. Only time is compared here: the smaller model has lost other weights, "
        "and its accuracy is another question."
    )
    pictures: ClassVar[tuple[Picture, ...]] = (
        Picture("dots", tuple(f"batch {b} ratio" for b in BATCHES), "What leaving out zeros saves: one forward pass",
                "time ÷ time of the dense model", relative_to=DENSE, line=FASTER, line_name="faster, left of here",
                scale="log"),
    )  # fmt: skip
    looks: ClassVar[bool] = True
    measuring_s: ClassVar[float] = 6.0

    model: ModelSource = setting(MLP(width=512), help="What is pruned. Sparse rows are for linear layers.")
    seeds: int = setting(3, ge=2, le=30, unit="seeds", help="Times everything is repeated, from other initial weights.")
    steps: int = setting(100, ge=20, le=1_000_000, unit="steps", help="Updates of the weights in one training.")
    sparsity: float = setting(0.9, gt=0, lt=1, help="Share of the weights that are removed, in every form.")

    def arms(self) -> list[Arm]:
        return [Arm(PRUNED, "pruning", {"prune": gradually(Magnitude(), self.sparsity, self.steps)})]

    def measure(self, runs: Sequence[Run]) -> pd.DataFrame:
        return pd.DataFrame([one for run in runs for one in self._times(run)])

    def _times(self, run: Run) -> list[dict[str, object]]:
        """Medians of every form at every batch size. Raises ModelError where none but the mask can be had."""
        shape = self.data.info.shape
        model, masks = run.load()
        model.eval().requires_grad_(False)
        zeroed = masked(model, masks)
        # before pruning the weights were others, but as many: time does not depend on what they are
        forms: dict[str, nn.Module] = {DENSE: self.model.build(shape, self.data.info.classes, run.seed).eval()}
        forms[MASKED] = zeroed
        x = torch.randn(max(self.BATCHES), *shape, generator=torch.Generator().manual_seed(run.seed))
        problems = []
        for name in (SPARSE, SMALLER):
            try:
                reference, made = (zeroed, sparse(zeroed)) if name == SPARSE else self._smaller(model)
                check_alike(reference, made, x, name)
                forms[name] = made
            except ModelError as error:
                problems.append(str(error))
        if len(forms) == 2:
            raise ModelError(" ".join(problems))
        found = []
        for batch in self.BATCHES:
            budget = self.measuring_s / self.seeds / len(self.BATCHES)
            timed = compare(forms, x[:batch], rounds=300, budget_s=budget)
            for name, one in timed.items():
                arm = Arm(name, "baseline" if name == DENSE else "pruning")
                as_form = Run(run.id, arm, run.seed, run.experiment, run.status, run.values, run.load)
                found.append(row(as_form, f"batch {batch}", one.median_ms, "ms"))
                found.append(row(as_form, f"batch {batch} ratio", one.ratio, "×"))  # round by round
        return found

    def _smaller(self, model: nn.Module) -> tuple[nn.Module, nn.Module]:
        removed = remove_outputs(model, self.data.info.shape, self.sparsity)
        return removed.reference, removed.model

    def judge(self, table: pd.DataFrame) -> Verdict:
        ratios = self.ratios(table)
        faster = {key for key, ratio in ratios.items() if ratio.high < self.FASTER}
        said = listed(f"{name} {times(ratios[name, 'batch 64'])}" for name in dict.fromkeys(n for n, _ in ratios))
        if len(faster) == len(ratios):
            return Verdict("holds", f"Every form is faster; at batch 64: {said}.")
        if not faster:
            return Verdict("does not hold", f"No form is faster; at batch 64: {said}.")
        always = [n for n in arms_of(table, "batch 64 ratio") if all((n, f"batch {b}") in faster for b in self.BATCHES)]
        never = [n for n, _ in ratios if not any((n, f"batch {b}") in faster for b in self.BATCHES)]
        some = [f"{n} only at {b}" for n, b in ratios if (n, b) in faster and n not in always]
        parts = (
            [f"{listed(always)}: always"] * bool(always)
            + some
            + [f"{listed(dict.fromkeys(never))}: never"] * bool(never)
        )
        return Verdict("depends", f"Time ÷ dense time at batch 64: {said}.",
                       on=f"how zeros are left out ({'; '.join(parts)})")  # fmt: skip

    def ratios(self, table: pd.DataFrame) -> dict[tuple[str, str], Against]:
        """Time relative to the dense model, by form and batch."""
        names = [name for name in arms_of(table, "batch 64 ratio") if name != DENSE]
        return {
            (name, f"batch {b}"): against(values(table, f"batch {b} ratio", name), self.FASTER)
            for name in names
            for b in self.BATCHES
        }

    def formula(self, table: pd.DataFrame) -> str:
        dense, zeroed = values(table, "batch 64", DENSE).mean(), values(table, "batch 64", MASKED).mean()
        return (
            rf"\rho_{{\mathrm{{masked}}}} = \frac{{t_{{\mathrm{{masked}}}}}}{{t_{{\mathrm{{dense}}}}}}"
            rf" = \frac{{{zeroed:.3f}\,\mathrm{{ms}}}}{{{dense:.3f}\,\mathrm{{ms}}}} = {zeroed / dense:.2f}"
        )
