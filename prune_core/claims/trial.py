"""Put a claim on trial in this process: run what it asks for, measure, judge."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from prune_core.claims.base import Claim, Verdict
from prune_core.claims.runs import Run, of_result
from prune_core.errors import ConfigError
from prune_core.registry import Registry
from prune_core.training import sweep


@dataclass(frozen=True)
class Trial:
    """A claim, what was measured, and the verdict by the claim's rule."""

    claim: Claim
    table: pd.DataFrame
    verdict: Verdict
    runs: tuple[Run, ...]

    def __repr__(self) -> str:
        return f"Trial(“{self.claim.statement}” {self.verdict.word}: {self.verdict.sentence})"


def trial(claim: Claim | str, *, progress: bool | None = None) -> Trial:
    """Run every experiment of ``claim`` (or of the registered one of that name) one after the other, and judge it.

    In the lab's workers, with runs that are kept and not made twice: ``pc.Lab().trial``. Raises UnknownNameError for a
    name that no claim has, ConfigError where what was measured cannot be judged.
    """
    claim = named(claim)
    asked = claim.experiments()
    results = sweep(asked.experiment, asked.space, share=asked.share, progress=progress)
    runs = tuple(of_result(result, *place) for place, result in zip(claim.places(), results, strict=True))
    table = claim.measure(runs)
    return Trial(claim, table, claim.judge(table), runs)


def named(claim: Claim | str) -> Claim:
    """The claim itself, or the registered one of that name with its own settings. Raises UnknownNameError."""
    if isinstance(claim, Claim):
        return claim
    registry: Registry[Claim] = Claim.registry
    return registry[claim].cls()


def check_finished(runs: Iterable[Run]) -> None:
    """Raise ConfigError where a run neither finished nor diverged: then the figures would not be what was asked for."""
    if lost := [run for run in runs if run.status not in ("finished", "diverged")]:
        raise ConfigError(
            f"This cannot be judged: {len(lost)} of its runs did not finish ({lost[0].arm.name}, seed {lost[0].seed}: "
            f"{lost[0].status})."
        )
