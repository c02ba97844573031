"""Is a mean above or below a bound that was fixed beforehand? One-sided tests over seeds, and their interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtr

from prune_core.comparing.intervals import mean_interval


@dataclass(frozen=True)
class Against:
    """A mean against ``bound``: its 95 % interval, and the p-values of "above" and "below" (one-sided t-test).

    Values without any spread are what they are: p is 0 or 1. With fewer than two values both are nan.
    """

    mean: float
    low: float
    high: float
    n: int
    bound: float
    p_above: float
    p_below: float


def against(values: Any, bound: float) -> Against:
    """Test ``values`` (n,) against ``bound``; not-a-number is left out. Source: Student, 1908."""
    found = np.asarray(values, float)
    found = found[~np.isnan(found)]
    n = len(found)
    if n < 2:
        only = mean_interval(found)
        return Against(only.mean, only.low, only.high, n, bound, math.nan, math.nan)
    mean, spread = float(found.mean()), float(found.std(ddof=1)) / math.sqrt(n)
    if spread <= 1e-12 * max(1.0, abs(mean)):  # what rounding leaves of no spread at all
        return Against(mean, mean, mean, n, bound, float(not mean > bound), float(not mean < bound))
    over = mean_interval(found)
    below = float(stdtr(n - 1, (mean - bound) / spread))
    return Against(mean, over.low, over.high, n, bound, 1 - below, below)
