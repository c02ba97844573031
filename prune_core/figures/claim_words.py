"""Measures and values of a claim's table as people read them, and what their intervals are."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pandas as pd

from prune_core.claims import Picture
from prune_core.comparing import Interval, mean_interval
from prune_core.figures.words import number, percent
from prune_core.training import wilson

LABELS = {
    "nonzero": "non-zero parameters", "macs": "MACs, dense", "kept_macs": "MACs", "dense_bytes": "bytes on disk",
    "kept_bytes": "bytes, zeros left out", "step": "training step", "zero": "exactly zero",
}  # fmt: skip
SYMBOLS = {"baseline": "circle", "clipping": "square", "pruning": "diamond", "both": "star"}
DASHES = {"baseline": "dot", "clipping": "dash", "pruning": "solid", "both": "dashdot"}


def measure_label(name: str) -> str:
    """What a measure is called."""
    name = name.removesuffix(" ratio")  # the axis says that it is one
    return LABELS.get(name, name.replace("_", " "))


def interval_of(values: Any, kind: Literal["student", "wilson"]) -> Interval:
    """Mean and 95 % interval over seeds: Student's, or Wilson's where values are 0 and 1."""
    found = np.asarray(values, float)
    found = found[np.isfinite(found)]
    if kind == "wilson" and len(found):
        return Interval(float(found.mean()), *wilson(float(found.sum()), len(found)), len(found))
    return mean_interval(found)


def written(value: float, picture: Picture) -> str:
    """One value with its unit, and a minus as wide as a plus."""
    return _plain(value, picture).replace("-", "\u2212")


def _plain(value: float, picture: Picture) -> str:
    if picture.relative_to:
        return f"{value:.{3 if abs(value - 1) < 0.05 else 2}f}\u00a0×"
    value = 0.0 if picture.unit == "%" and abs(value) < 5e-4 else value  # no minus before a rounded zero
    return percent(value) if picture.unit == "%" else f"{number(value)}\u00a0{picture.unit}".rstrip()


def interval_words(found: Interval, picture: Picture) -> str:
    """A mean and its interval: ``1.02 × (1.01 to 1.03)``."""
    if not math.isfinite(found.low) or found.low == found.high:
        return written(found.mean, picture)
    low, high = written(found.low, picture), written(found.high, picture)
    for unit in ("\u00a0×", "\u00a0%", f"\u00a0{picture.unit}"):
        low, high = low.removesuffix(unit), high.removesuffix(unit)
    return f"{written(found.mean, picture)} ({low} to {high})"


def measured(table: pd.DataFrame, picture: Picture) -> pd.DataFrame:
    """The rows that a picture shows."""
    wanted = table[table["measure"].isin(picture.measures)]
    return wanted[~wanted["arm"].isin(picture.leave_out)]
