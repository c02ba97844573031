"""A finished run as a claim sees it, wherever it was made, and the table of measured figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd
from torch import nn

from prune_core.errors import ConfigError
from prune_core.experiment import Experiment
from prune_core.measuring import count_parameters, macs, stored_bytes
from prune_core.measuring.weights import Masks
from prune_core.training import Result

if TYPE_CHECKING:
    from prune_core.claims.base import Arm

COLUMNS = ("arm", "idea", "at", "seed", "measure", "value", "unit", "run")
"""Of the table of measured figures: a row a figure, of one arm (at one place) and one seed."""

UNITS = {
    "accuracy": "share",
    "loss": "nats",
    "sparsity": "share",
    "seconds": "s",
    "parameters": "parameters",
    "nonzero": "parameters",
    "dense_bytes": "B",
    "kept_bytes": "B",
    "macs": "MACs",
    "kept_macs": "MACs",
    "diverged": "yes or no",
}
"""What every run records of itself, and in what unit."""


@dataclass(frozen=True)
class Run:
    """One finished run. ``values`` holds what it recorded; ``load`` gives its trained model and masks."""

    id: str
    arm: Arm
    seed: int
    experiment: Experiment
    status: str
    values: Mapping[str, float]
    load: Callable[[], tuple[nn.Module, Masks]] = field(repr=False, compare=False)

    def recorded(self, name: str) -> float:
        """What the run recorded under ``name``; nan where it did not. Raises ConfigError for an unknown name."""
        if name not in UNITS:
            raise ConfigError(f"A run records {', '.join(UNITS)}; got {name!r}.")
        if name == "diverged":
            return float(self.status == "diverged")
        value = self.values.get(name)
        return math.nan if value is None else float(value)


def row(run: Run, measure: str, value: float, unit: str = "") -> dict[str, Any]:
    """A row of the table: ``value`` of ``measure`` in ``unit``, by default that of what runs record."""
    arm = run.arm
    return {
        "arm": arm.name, "idea": arm.idea, "at": arm.at, "seed": run.seed, "measure": measure, "value": float(value),
        "unit": unit or UNITS.get(measure, ""), "run": run.id,
    }  # fmt: skip


def of_result(result: Result, arm: Arm, seed: int) -> Run:
    """A run that was made in this process; its id is the experiment's digest."""
    count = count_parameters(result.model, result.masks)
    dense, kept = stored_bytes(result.model, result.masks)
    work = macs(result.model, result.experiment.data.info.shape, result.masks)
    values = {
        "accuracy": result.accuracy, "loss": result.loss, "sparsity": result.sparsity, "seconds": result.seconds,
        "parameters": count.total, "nonzero": count.nonzero, "dense_bytes": dense, "kept_bytes": kept,
        "macs": work.dense, "kept_macs": work.effective,
    }  # fmt: skip
    return Run(result.digest, arm, seed, result.experiment, result.status, values, lambda: (result.model, result.masks))


def of_row(
    found: Mapping[str, Any], arm: Arm, seed: int, experiment: Experiment, load: Callable[[], tuple[nn.Module, Masks]]
) -> Run:
    """A run from a row of a sweep's results."""
    values = {name: found[name] for name in UNITS if found.get(name) is not None}
    return Run(str(found["run"]), arm, seed, experiment, str(found["status"]), values, load)


def values(table: pd.DataFrame, measure: str, arm: str, at: float = math.nan) -> pd.Series:
    """The values of one measure and arm by seed; at one place where ``at`` is given. Raises ConfigError for none."""
    rows = table[(table["measure"] == measure) & (table["arm"] == arm)]
    if not math.isnan(at):
        rows = rows[(rows["at"].astype(float) - at).abs() < 1e-9]
    if rows.empty or rows["value"].isna().any():
        place = "" if math.isnan(at) else f" at {at:g}"
        raise ConfigError(f"This cannot be judged: {measure} of “{arm}”{place} was not measured for every seed.")
    found: pd.Series = rows.groupby("seed")["value"].mean()
    return found


def arms_of(table: pd.DataFrame, measure: str) -> list[str]:
    """The arms for which ``measure`` was measured, in the table's order."""
    return list(dict.fromkeys(table.loc[table["measure"] == measure, "arm"]))


def places_of(table: pd.DataFrame, measure: str, arm: str) -> list[float]:
    """Where on the x axis ``measure`` of an arm was measured, from low to high."""
    rows = table[(table["measure"] == measure) & (table["arm"] == arm)]
    return sorted({float(at) for at in rows["at"] if at == at})
