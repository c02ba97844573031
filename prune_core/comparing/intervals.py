"""Mean and 95 % interval over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit  # scipy.stats would take a second to import

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """The mean of ``n`` values and its 95 % interval; with fewer than two values ``low`` and ``high`` are nan."""

    mean: float
    low: float
    high: float
    n: int


def student(n: Any) -> Any:
    """How many standard errors half a 95 % interval has with ``n`` values; nan below two. Source: Student, 1908."""
    freedom = np.asarray(n, float) - 1
    return np.where(freedom >= 1, stdtrit(np.maximum(freedom, 1), (1 + LEVEL) / 2), np.nan)


def mean_interval(values: Any) -> Interval:
    """mean ± t(0.975, n - 1) · s / √n, with s the sample standard deviation. Not-a-number is left out."""
    found = np.asarray(values, float)
    found = found[~np.isnan(found)]
    n = len(found)
    if n < 2:
        return Interval(float(found[0]) if n else math.nan, math.nan, math.nan, n)
    mean, half = float(found.mean()), float(student(n)) * float(found.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def mean_by(table: pd.DataFrame, by: Sequence[str], value: str) -> pd.DataFrame:
    """``mean_interval`` of the column ``value`` for each combination of ``by``: columns ``by``, mean, low, high, n.

    Rows without a value are left out; a missing entry in ``by`` is a group of its own. Sorted by ``by``.
    """
    rows = table.loc[table[value].notna(), [*by, value]]
    groups = rows.groupby(list(by), dropna=False, sort=True)[value].agg(["mean", "std", "count"]).reset_index()
    half = student(groups["count"]) * groups["std"].to_numpy(float) / np.sqrt(groups["count"].to_numpy(float))
    return groups[[*by, "mean"]].assign(low=groups["mean"] - half, high=groups["mean"] + half, n=groups["count"])
