"""Does clipping prevent divergence? The share of seeds that diverge over learning rates, with and without it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import pandas as pd
from pydantic import field_validator

from prune_core.claims.base import Arm, Claim, Picture, Verdict
from prune_core.claims.runs import Run, places_of, row, values
from prune_core.claims.settings import numbers
from prune_core.claims.words import listed
from prune_core.clipping import ClipStrategy, NormClip
from prune_core.models import ModelSource, RowLSTM
from prune_core.registry import register
from prune_core.settings import setting
from prune_core.training import wilson

PLAIN, CLIPPED = "without clipping", "with clipping"


@register(
    "clipping_converges",
    label="Clipping prevents divergence",
    formula=r"g \leftarrow g \cdot \min\left(1, \frac{c}{\lVert g \rVert}\right)",
    reference="Pascanu, Mikolov, Bengio 2013, arXiv:1211.5063; Wilson 1927 for the intervals",
)
class ClippingConverges(Claim):
    """Trains at ever higher learning rates, with and without clipping, and counts the seeds that diverge."""

    statement: ClassVar[str] = "Clipping prevents divergence."
    rule: ClassVar[str] = (
        "A run diverges if its loss is not finite, or ends above that of guessing (the logarithm of the number of "
        "classes). Clipping prevents it at a learning rate if the 95 % interval (Wilson) of the share of seeds that "
        "diverge lies below that without clipping, and does not where at least half of the seeds diverge all the "
        "same. The claim holds if it prevents it at every rate at which more than half of the seeds diverge without "
        "clipping, does not hold if it does at none, and depends otherwise."
    )
    explanation: ClassVar[str] = (
        "Clipping by norm bounds how far one update goes: learning rate times threshold, before momentum. Where even "
        "such a step is too far, training diverges with clipping too; a lower threshold then helps again."
    )
    pictures: ClassVar[tuple[Picture, ...]] = (
        Picture("curve", ("diverged",), "Clipping moves the limit: seeds that diverge as the learning rate grows",
                "learning rate", "seeds that diverge", unit="%", interval="wilson", scale="log"),
    )  # fmt: skip
    looks: ClassVar[bool] = False

    model: ModelSource = setting(RowLSTM(), help="A recurrent network: its gradients explode most easily.")
    seeds: int = setting(8, ge=4, le=30, unit="seeds", help="Times everything is repeated, from other initial weights.")
    steps: int = setting(60, ge=20, le=1_000_000, unit="steps", help="Updates of the weights in one training.")
    clip: ClipStrategy = setting(NormClip(), label="Clipping", help="How gradients are clipped.")
    rates: tuple[float, ...] = setting(
        (1.0, 2.0, 3.0, 5.0, 8.0),
        label="Learning rates",
        help="One run each, with and without clipping.",
    )

    @field_validator("rates", mode="before")
    @classmethod
    def _some(cls, given: Any) -> tuple[float, ...]:
        return numbers("ClippingConverges.rates", given, 0, 1000)

    def arms(self) -> list[Arm]:
        plain = [Arm(PLAIN, "baseline", {"train.lr": rate}, rate) for rate in self.rates]
        clipped = [Arm(CLIPPED, "clipping", {"train.lr": rate, "clip": self.clip}, rate) for rate in self.rates]
        return [*plain, *clipped]

    def measure(self, runs: Sequence[Run]) -> pd.DataFrame:
        guessing = math.log(self.data.info.classes)
        rows = []
        for run in runs:
            loss = run.recorded("loss")
            diverged = run.status == "diverged" or not loss <= guessing  # nan too
            rows.append(row(run, "diverged", float(diverged)))
            rows.append(row(run, "loss", loss if math.isfinite(loss) else 1e30))
        return pd.DataFrame(rows)

    def judge(self, table: pd.DataFrame) -> Verdict:
        rates = places_of(table, "diverged", PLAIN)
        counts = {}
        for rate in rates:
            plain, clipped = values(table, "diverged", PLAIN, rate), values(table, "diverged", CLIPPED, rate)
            counts[rate] = int(plain.sum()), int(clipped.sum()), len(plain)
        risky = [rate for rate, (a, _, n) in counts.items() if 2 * a > n]
        if not risky:
            most, (a, _, n) = max(counts.items(), key=lambda item: item[1][0])
            few = f"Without clipping few runs diverge: at most {a} of {n}, at learning rate {most:g}"
            return Verdict("not decided", f"{few}. Try higher learning rates.")
        saved = [r for r in risky if wilson(counts[r][1], counts[r][2])[1] < wilson(counts[r][0], counts[r][2])[0]]
        lost = [r for r in risky if 2 * counts[r][1] >= counts[r][2]]
        said = "; ".join(
            f"at learning rate {r:g}, {counts[r][0]} of {counts[r][2]} seeds diverge without clipping and "
            f"{counts[r][1]} with it"
            for r in (risky[0], risky[-1])[: len(risky)]
        )
        said = f"{said[0].upper()}{said[1:]}."
        if len(saved) == len(risky):
            return Verdict("holds", said)
        if saved:
            unclear = [r for r in risky if r not in saved and r not in lost]
            left = f", at {listed(f'{r:g}' for r in unclear)} the seeds do not decide" if unclear else ""
            helped = listed(f"{r:g}" for r in saved)
            not_so = f", at {listed(f'{r:g}' for r in lost)} it does not" if lost else ""
            return Verdict("depends", said, on=f"the learning rate: at {helped} clipping prevents it{not_so}{left}")
        if len(lost) == len(risky):
            return Verdict("does not hold", said)
        return Verdict("not decided", said)

    def formula(self, table: pd.DataFrame) -> str:
        rates = places_of(table, "diverged", PLAIN)

        def gap(rate: float) -> float:
            plain, clipped = (values(table, "diverged", arm, rate).sum() for arm in (PLAIN, CLIPPED))
            return float(plain - clipped)

        rate = max(rates, key=gap)
        parts = []
        for arm, name in ((PLAIN, "without"), (CLIPPED, "with")):
            found = values(table, "diverged", arm, rate)
            low, high = wilson(float(found.sum()), len(found))
            parts.append(
                rf"p_{{\mathrm{{{name}}}}} = \tfrac{{{int(found.sum())}}}{{{len(found)}}} \; [{low:.2f}, {high:.2f}]"
            )
        return rf"\text{{at rate }} {rate:g}: \quad " + r", \quad ".join(parts)
